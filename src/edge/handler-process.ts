import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isSea } from 'node:sea';
import type { HandlerFault } from '../core/handler-proof.ts';
import type { CompiledHandler } from '../core/option-handler.ts';
import {
  type FromHandler,
  type HandlerStart,
  handlerVariable,
  readFromHandler,
  type ToHandler,
} from '../handler/protocol.ts';
import { LineReader } from './handler-lines.ts';
import { execPath, withoutSecrets } from './supervisor.ts';

/** How long a handler may take to load. */
const loadMs = 10_000;
const watchMs = 100;
const leastHungMs = 1_000;
/** How long workers have to hear that a handler is hung, before its end closes their connections. */
const tellMs = 100;
const restartMs = 50;
const maxRestartMs = 5_000;
/** One that has lived for so long is started again at once. */
const soundMs = 10_000;
/** What Node itself has at most as it begins to listen, MiB: until then nobody knows it better. */
const startMb = 160;
/** What Node itself may come to need after its start, MiB. */
const spareMb = 32;
const pageBytes = 4_096;

/** What a process is of. */
export interface HandlerProcessOptions {
  readonly routeId: string;
  readonly handler: CompiledHandler;
  readonly socketPath: string;
  readonly directory: string;
  readonly field: string;
  /** The program, where it is no executable. */
  readonly entry: string;
  readonly log: (line: string) => void;
  /** It does not react, and is ended in a moment. */
  readonly onHung: () => void;
}

/** One version of one route's handler, kept running: a process that ends is started again, less and less often. */
export class HandlerProcess {
  readonly options: HandlerProcessOptions;
  /** Resolves when it takes requests for the first time, or when that has failed. */
  readonly ready: Promise<HandlerFault | undefined>;
  isListening = false;
  private child: ChildProcess | null = null;
  private settle: (fault: HandlerFault | undefined) => void = () => {};
  private fault: HandlerFault | undefined;
  private lines: LineReader | null = null;
  private ending = false;
  private startedAt = 0;
  private restartDelay = restartMs;
  private timers = new Set<NodeJS.Timeout>();
  private watch: NodeJS.Timeout | undefined;
  /** Bytes that it had when it began to listen; 0 until then. */
  private base = 0;
  private silentMs = 0;
  private pinged = false;
  private why = '';
  private onEnd: () => void = () => {};

  constructor(options: HandlerProcessOptions) {
    this.options = options;
    this.ready = new Promise((resolve) => {
      this.settle = resolve;
    });
    this.spawn();
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  private spawn(): void {
    const { entry, handler } = this.options;
    const flags = [`--max-old-space-size=${handler.memoryMb}`, '--disable-warning=ExperimentalWarning'];
    const env = { ...withoutSecrets(process.env), [handlerVariable]: '1', NODE_OPTIONS: '' };
    const child = fork(entry, [], {
      ...{ execPath, env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] as const },
      execArgv: isSea() ? [`--node-options=${flags.join(' ')}`] : flags,
    } as never) as ChildProcess;
    this.child = child;
    this.startedAt = performance.now();
    this.isListening = false;
    this.base = 0;
    this.silentMs = 0;
    this.pinged = false;
    this.fault = undefined;
    this.why = '';
    const lines = new LineReader((line) => this.log(line));
    this.lines = lines;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => lines.take(chunk));
    child.on('message', (message: unknown) => {
      const known = readFromHandler(message);
      if (known !== undefined) this.onMessage(child, known);
    });
    child.on('error', (error) => {
      this.why ||= error.message;
      if (child.pid === undefined) this.onExit(null, null);
    });
    child.on('close', (code, signal) => this.onExit(code, signal));
    this.later(loadMs, () => {
      if (this.child !== child || this.isListening) return;
      this.fault ??= { message: `it has not loaded within ${loadMs / 1_000} s` };
      child.kill('SIGKILL');
    });
    const { routeId, socketPath, directory, field } = this.options;
    const { file, source, timeoutMs } = handler;
    this.post({ type: 'start', routeId, file, source, timeoutMs, socketPath, directory, field } satisfies HandlerStart);
    clearInterval(this.watch);
    this.watch = setInterval(() => this.look(), watchMs);
  }

  private post(message: ToHandler): void {
    this.child?.send(message, () => {});
  }

  private onMessage(child: ChildProcess, message: FromHandler): void {
    if (child !== this.child) return;
    this.silentMs = 0;
    this.pinged = false;
    if (message.type === 'log') this.tell(message.line);
    if (message.type === 'failed') this.fault = message.fault;
    if (message.type !== 'listening') return;
    this.isListening = true;
    this.base = residentBytes(child.pid);
    this.settle(undefined);
  }

  /** Ten times a second: what it uses, and whether it still reacts. */
  private look(): void {
    const { child, options } = this;
    if (child === null || this.why !== '') return;
    const { memoryMb, timeoutMs } = options.handler;
    const used = residentBytes(child.pid) / 2 ** 20 - (this.isListening ? this.base / 2 ** 20 : startMb);
    if (used > memoryMb + spareMb) {
      if (!this.isListening) this.fault = { message: `it ${this.overLimit()} while it loaded` };
      return this.end(child, this.overLimit(), 0);
    }
    if (!this.isListening) return;
    if (!this.pinged) {
      this.pinged = true;
      this.silentMs = 0;
      return this.post({ type: 'ping' });
    }
    // Turns are counted, not time: if this process is late itself, the other one is not to blame.
    this.silentMs += watchMs;
    if (this.silentMs < Math.max(leastHungMs, timeoutMs)) return;
    options.onHung();
    this.end(child, `has not reacted for ${this.silentMs} ms`, tellMs);
  }

  private end(child: ChildProcess, why: string, delayMs: number): void {
    this.why = why;
    this.later(delayMs, () => child.kill('SIGKILL'));
  }

  private onExit(code: number | null, signal: string | null): void {
    this.child = null;
    clearInterval(this.watch);
    this.lines?.end();
    const wasListening = this.isListening;
    this.isListening = false;
    this.onEnd();
    if (this.ending) return this.settle(undefined);
    if (!wasListening) this.settle(this.faultOf(code, signal));
    const lived = performance.now() - this.startedAt;
    if (this.lines?.isOutOfMemory) this.why ||= this.overLimit();
    const what = this.why || (wasListening ? `ended (${signal ?? `exit code ${code}`})` : this.faultText(code, signal));
    const line = `handler of ${this.options.routeId}: its process ${what}; starting another`;
    if (wasListening) this.options.log(line);
    this.restartDelay = lived > soundMs ? restartMs : Math.min(this.restartDelay * 2, maxRestartMs);
    this.later(this.restartDelay, () => {
      // Whoever has asked for a proof has been told, and has ended it by now.
      if (!wasListening) this.options.log(line);
      this.spawn();
    });
  }

  private overLimit(): string {
    return `has used more than its memoryMb of ${this.options.handler.memoryMb}`;
  }

  /** A line of the process itself: failures of requests name their route already. */
  private tell(line: string): void {
    const { routeId, log } = this.options;
    log(/^\d{3} OO_/.test(line) ? line : `handler of ${routeId}: ${line}`);
  }

  private faultText(code: number | null, signal: string | null): string {
    return `can't start: ${this.faultOf(code, signal).message}`;
  }

  private faultOf(code: number | null, signal: string | null): HandlerFault {
    const { fault, lines } = this;
    if (fault !== undefined) return fault;
    return lines?.syntaxError() ?? { message: `its process ended while it loaded (${signal ?? `exit code ${code}`})` };
  }

  private log(line: string): void {
    if (this.isListening || this.ending) this.options.log(`handler of ${this.options.routeId}: ${line}`);
  }

  private later(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (!this.ending) action();
    }, ms);
    this.timers.add(timer);
  }

  /** Lets running requests end, for `timeoutMs` at most; resolves when its process is gone. */
  async drain(timeoutMs: number): Promise<void> {
    this.forgetTimers();
    if (this.child === null) return;
    const gone = new Promise<void>((resolve) => {
      this.onEnd = resolve;
    });
    this.post({ type: 'drain', timeoutMs });
    const limit = setTimeout(() => this.kill(), timeoutMs + leastHungMs);
    await gone;
    clearTimeout(limit);
  }

  /** Ends it at once. */
  kill(): void {
    this.forgetTimers();
    this.child?.kill('SIGKILL');
  }

  private forgetTimers(): void {
    this.ending = true;
    for (const timer of this.timers) clearTimeout(timer);
    clearInterval(this.watch);
  }
}

/** 0 where the system does not tell. */
function residentBytes(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * pageBytes;
  } catch {
    return 0;
  }
}
