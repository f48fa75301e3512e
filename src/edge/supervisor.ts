import { type ChildProcess, fork } from 'node:child_process';
import net from 'node:net';
import { availableParallelism } from 'node:os';
import { defaultRecentRequests, type RequestHead } from '../core/impact.ts';
import type { Route, RouteChange } from '../core/types.ts';
import {
  type FromWorker,
  type OutcomeCounts,
  type PoolsChange,
  type Question,
  type Suspicion,
  type TlsChange,
  type ToWorker,
  type WorkerFigures,
  workerVariable,
} from './messages.ts';
import { PoolsState } from './pools-state.ts';
import type { EdgeSettings, ListenAddress } from './settings.ts';
import { TlsState } from './tls-state.ts';
import { type WorkerAnswer, WorkerAnswers } from './worker-answers.ts';

/** Routes sent in one message: a worker that takes in many answers requests between two of them. */
const partRoutes = 1_000;
/** A worker that has not taken a change by then is started anew, with the whole table. */
const applyTimeoutMs = 30_000;
/** How long the workers of a main process that was killed may take to notice it and to give up the port. */
const orphanPatienceMs = 1_500;
const restartDelayMs = 100;
// The very program that runs now, even if its file has been replaced by another version since.
export const execPath = process.platform === 'linux' ? '/proc/self/exe' : process.execPath;
const maxRestartDelayMs = 5_000;
/** When a worker is tried again that could not even be started. */
const noProcessDelayMs = 1_000;

/** What a supervisor asks of whoever keeps the configuration. */
export interface RouteSource {
  /** The routes as they are now, with their revision. */
  current(): { readonly revision: number; readonly routes: Iterable<Route> };
}

interface Worker {
  readonly process: ChildProcess;
  /** Its number, from 0: the least that no other worker has. */
  readonly index: number;
  /** The revision that it was last sent. */
  sent: number;
  applied: number;
  /** The number of the last TLS change that it has taken; -1: none was sent yet. */
  tlsApplied: number;
  /** The same of pools. */
  poolsApplied: number;
  readonly startedAt: number;
}

/** An error of the system with its code, from a listener in a worker. */
export class ListenError extends Error {
  readonly code: string;
  readonly address: ListenAddress;
  constructor(code: string, message: string, address: ListenAddress) {
    super(message);
    this.code = code;
    this.address = address;
  }
}

/**
 * Starts the data workers, keeps them running, and tells them of every change. A worker that dies is started again with
 * the table as it is then.
 */
export class Supervisor {
  readonly settings: EdgeSettings;
  /** The port that the workers listen on, once `start` has resolved. */
  port = 0;
  /** The same for HTTPS; 0 without it. */
  httpsPort = 0;
  /** Of the service listener; 0 without it. */
  servicePort = 0;
  /** Answers what workers ask. Set it before `start`. */
  onAsk: (question: Question) => Promise<boolean> = async () => false;
  /** Judges a worker's suspicion. Set it before `start`. */
  onSuspect: (suspicion: Suspicion) => void = () => {};
  /** Told what requests of all workers have met. Set it before `start`. */
  onOutcomes: (counts: readonly OutcomeCounts[]) => void = () => {};
  /** Signs sticky cookies, the newest first; base64. Set it before `start`. */
  secrets: readonly string[] = [];
  readonly pools = new PoolsState();
  private readonly tls = new TlsState();
  private readonly log: (line: string) => void;
  private readonly workers = new Set<Worker>();
  private readonly waiting = new Set<() => void>();
  private source: RouteSource | undefined;
  private failure: ListenError | undefined;
  private started = false;
  private ending = false;
  private restartDelay = restartDelayMs;
  private recentSize = defaultRecentRequests;
  private readonly answers = new WorkerAnswers();

  /** Starts the processes at once, so that they load while the database is being opened. */
  constructor(settings: EdgeSettings, log: (line: string) => void) {
    this.settings = settings;
    this.log = log;
    // One core is this process's: on a small machine more would only make all of them late.
    for (let i = Math.min(settings.workers, Math.max(1, availableParallelism() - 1)); i > 0; i--) this.spawn();
  }

  /**
   * Gives the workers their routes and waits until all of them listen.
   * @throws ListenError
   */
  async start(source: RouteSource): Promise<void> {
    const { http, https, service } = this.settings;
    // Workers share the port among themselves, so the system would let them share it with a stranger's too: look first.
    this.port = await claimPort(http);
    if (https !== null) this.httpsPort = await claimPort(https);
    if (service !== null) this.servicePort = await claimPort(service);
    (this as { settings: EdgeSettings }).settings = {
      ...this.settings,
      http: { ...http, port: this.port },
      https: https && { ...https, port: this.httpsPort },
      service: service && { ...service, port: this.servicePort },
    };
    this.source = source;
    for (const worker of this.workers) this.load(worker);
    for (let i = this.settings.workers - this.workers.size; i > 0; i--) this.spawn();
    await this.settled(source.current().revision);
    if (this.failure !== undefined) throw this.failure;
    this.started = true;
  }

  /** Sends a change to every worker; resolves when all of them work by it. */
  async publish(change: RouteChange): Promise<void> {
    for (const worker of this.workers) {
      if (worker.sent === change.base) this.send(worker, change.save, change.remove, change.revision, false);
      else if (worker.sent < change.revision) this.load(worker);
    }
    await this.settled(change.revision);
  }

  /** Brings certificates, challenges and ticket keys to every worker; resolves when all of them work by it. */
  async publishTls(change: Partial<TlsChange>): Promise<void> {
    const { number, messages } = this.tls.apply(change);
    await this.broadcast(messages, (worker) => worker.tlsApplied < number, 'does not take certificates');
  }

  /** Brings services and the state of instances to every worker; resolves when all of them work by it. */
  async publishPools(change: Partial<PoolsChange>): Promise<void> {
    const { number, messages } = this.pools.apply(change);
    await this.broadcast(messages, (worker) => worker.poolsApplied < number, 'does not take services');
  }

  private async broadcast(
    messages: readonly ToWorker[],
    isBehind: (worker: Worker) => boolean,
    otherwise: string,
  ): Promise<void> {
    for (const worker of this.workers) if (worker.sent >= 0) this.post(worker, messages);
    const late = (worker: Worker) => worker.sent >= 0 && isBehind(worker);
    const reached = () => this.failure !== undefined || ![...this.workers].some(late);
    if (await this.until(reached, applyTimeoutMs)) return;
    for (const worker of this.workers) if (late(worker)) this.replace(worker, otherwise);
  }

  /** The figures of each worker that gives them in time. */
  async figures(): Promise<WorkerFigures[]> {
    const answers = await this.askAll((id) => ({ type: 'figures', id }));
    return answers.flatMap((answer) => (answer?.type === 'figures' ? [answer.figures] : []));
  }

  /** The heads of the last requests, of all workers that give them in time. */
  async recentHeads(): Promise<RequestHead[]> {
    const answers = await this.askAll((id) => ({ type: 'recent', id }));
    return answers.flatMap((answer) => (answer?.type === 'recent' ? answer.heads : []));
  }

  /** Tells every worker that a handler does not react. @param key as `handlerKey` makes it */
  tellHung(key: string): void {
    for (const worker of this.workers) if (worker.sent >= 0) this.post(worker, [{ type: 'handler-hung', key }]);
  }

  /** @param size how many of them each worker keeps from now on; 0 for none */
  keepRecent(size: number): void {
    this.recentSize = size;
    for (const worker of this.workers) if (worker.sent >= 0) this.post(worker, [{ type: 'keep-recent', size }]);
  }

  private askAll(question: (id: number) => ToWorker): Promise<(WorkerAnswer | undefined)[]> {
    const there = [...this.workers].filter((worker) => worker.sent >= 0);
    return Promise.all(there.map((worker) => this.answers.ask((id) => this.post(worker, [question(id)]))));
  }

  /** Lets running requests end; resolves when every worker has exited. */
  async drain(timeoutMs: number): Promise<void> {
    this.ending = true;
    const message: ToWorker = { type: 'drain', timeoutMs };
    for (const worker of this.workers) worker.process.send(message, () => {});
    await this.until(() => this.workers.size === 0, timeoutMs + 2_000);
    this.kill();
  }

  /** Ends every worker at once. */
  kill(): void {
    this.ending = true;
    for (const worker of this.workers) worker.process.kill('SIGKILL');
  }

  /** The process ids of the workers that run now. */
  pids(): number[] {
    return [...this.workers].map((worker) => worker.process.pid ?? 0);
  }

  private spawn(): void {
    const env = { ...withoutSecrets(process.env), [workerVariable]: '1' };
    const child = fork(process.argv[1], [], { execPath, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.on('error', (error) => this.log(`worker ${child.pid ?? 'not started'}: ${error.message}`));
    // Without a file descriptor left there is no process, no channel, and no word of its end: later there may be.
    if (child.pid === undefined) return this.spawnLater(noProcessDelayMs);
    const worker: Worker = {
      ...{ process: child, index: this.freeIndex(), sent: -1, applied: -1, tlsApplied: -1, poolsApplied: -1 },
      startedAt: Date.now(),
    };
    this.workers.add(worker);
    child.on('message', (message: FromWorker) => {
      try {
        this.onMessage(worker, message);
      } catch (error) {
        // Workers face the world: what one of them says may not end all of them.
        this.log(`worker ${child.pid} says what makes no sense: ${(error as Error).message}`);
      }
    });
    child.on('exit', (code, signal) => this.onExit(worker, code, signal));
    if (this.source !== undefined) this.load(worker);
  }

  private spawnLater(delayMs: number): void {
    setTimeout(() => {
      if (!this.ending && this.workers.size < this.settings.workers) this.spawn();
    }, delayMs);
  }

  private freeIndex(): number {
    const taken = new Set([...this.workers].map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index++;
    return index;
  }

  private onExit(worker: Worker, code: number | null, signal: string | null): void {
    this.workers.delete(worker);
    if (!this.ending && this.failure === undefined) {
      this.log(`worker ${worker.process.pid} ended (${signal ?? `exit code ${code}`}); starting another`);
      // One that dies at once, again and again, must not eat the machine.
      const lived = Date.now() - worker.startedAt;
      this.restartDelay = lived > 10_000 ? restartDelayMs : Math.min(this.restartDelay * 2, maxRestartDelayMs);
      this.spawnLater(this.restartDelay);
    }
    this.wake();
  }

  private load(worker: Worker): void {
    if (this.source === undefined) return;
    const { settings, secrets } = this;
    const place = { index: worker.index, count: settings.workers };
    this.post(worker, [
      { type: 'start', settings, place, secrets },
      { type: 'keep-recent', size: this.recentSize },
    ]);
    // Ahead of the routes, whose last part makes it listen.
    this.post(worker, this.tls.whole());
    this.post(worker, this.pools.whole());
    const { revision, routes } = this.source.current();
    this.send(worker, routes, [], revision, true);
  }

  private send(
    worker: Worker,
    save: Iterable<Route>,
    remove: readonly string[],
    revision: number,
    whole: boolean,
  ): void {
    let part: Route[] = [];
    let removed = remove;
    const flush = (last: boolean) => {
      this.post(worker, [{ type: 'routes', whole, save: part, remove: removed, revision, last }]);
      part = [];
      removed = [];
    };
    for (const route of save) {
      part.push(route);
      if (part.length === partRoutes) flush(false);
    }
    flush(true);
    worker.sent = revision;
  }

  private post(worker: Worker, messages: Iterable<ToWorker>): void {
    for (const message of messages) worker.process.send(message, () => {});
  }

  private onMessage(worker: Worker, message: FromWorker): void {
    if (message.type === 'ask') return void this.answer(worker, message.id, message.question);
    if (message.type === 'applied') worker.applied = message.revision;
    if (message.type === 'suspect') return this.onSuspect(message.suspicion);
    if (message.type === 'outcomes') return this.onOutcomes(message.counts);
    if (message.type === 'figures' || message.type === 'recent') return this.answers.take(message);
    if (message.type === 'pools-applied') worker.poolsApplied = Math.max(worker.poolsApplied, message.number);
    if (message.type === 'tls-applied') worker.tlsApplied = Math.max(worker.tlsApplied, message.number);
    if (message.type === 'failed') this.onFailed(worker, message);
    this.wake();
  }

  private async answer(worker: Worker, id: number, question: Question): Promise<void> {
    const yes = await this.onAsk(question).catch((error) => {
      this.log(`asked for ${Object.values(question).join(' ')}: ${error.message}`);
      return false;
    });
    this.post(worker, [{ type: 'answer', id, yes }]);
  }

  /** At the start it is the end of all; later another program has taken the port meanwhile, and may leave it again. */
  private onFailed(worker: Worker, { code, message, listener }: FromWorker & { type: 'failed' }): void {
    if (this.started) {
      this.log(`worker ${worker.process.pid}: ${message}`);
      worker.process.kill('SIGKILL');
      return;
    }
    const { settings } = this;
    this.failure = new ListenError(code, message, settings[listener] ?? settings.http);
    this.kill();
  }

  /** Resolves when every worker works by `revision`; one that does not come to is replaced. */
  private async settled(revision: number): Promise<void> {
    const reached = () => this.failure !== undefined || [...this.workers].every((worker) => worker.applied >= revision);
    if (await this.until(reached, applyTimeoutMs)) return;
    for (const worker of this.workers) {
      if (worker.applied >= revision) continue;
      this.replace(worker, `does not take revision ${revision}`);
    }
  }

  private replace(worker: Worker, why: string): void {
    this.log(`worker ${worker.process.pid} ${why}; starting another`);
    worker.process.kill('SIGKILL');
  }

  private wake(): void {
    for (const check of this.waiting) check();
  }

  private until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (result: boolean) => {
        clearTimeout(timer);
        this.waiting.delete(check);
        resolve(result);
      };
      const check = () => condition() && done(true);
      const timer = setTimeout(() => done(false), timeoutMs);
      this.waiting.add(check);
    });
  }
}

/** Workers face the world, and need no keys but those that they are sent. */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isSecret = (name: string) => /^(?:OO|OB)_.*(?:KEY|TOKEN|PASSWORD|DB)/.test(name);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isSecret(name)));
}

/**
 * Binds an address alone for a moment, to find out whether it can be had; port 0 is given a number this way.
 * @param patienceMs how long to wait for a port in use: a killed server's workers may have it still
 * @throws ListenError
 */
export async function claimPort(address: ListenAddress, patienceMs = orphanPatienceMs): Promise<number> {
  for (const end = performance.now() + patienceMs; ; ) {
    try {
      return await bindAlone(address);
    } catch (error) {
      const { code = 'EUNKNOWN', message } = error as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE' || performance.now() >= end) throw new ListenError(code, message, address);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function bindAlone(address: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen({ port: address.port, host: address.host, exclusive: true }, () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
