import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HandlerFault, HandlerProver } from '../core/handler-proof.ts';
import { type CompiledHandler, compileHandler } from '../core/option-handler.ts';
import type { Route } from '../core/types.ts';
import { handlerKey, handlerSocket, handlersDirectory } from './handler-place.ts';
import { HandlerProcess } from './handler-process.ts';
import type { HandlerSettings } from './settings.ts';

/** How long one that was proven waits to be published. */
const provenMs = 60_000;
/** Requests that workers have decided on may still be on their way to the old one. */
const lateMs = 500;
/** Processes that start at one time. */
const startsAtOnce = 4;

export interface HandlerProcessesOptions extends HandlerSettings {
  readonly log: (line: string) => void;
  /** A handler does not react, and is ended in a moment; by its key. */
  readonly onHung: (key: string) => void;
  /** How long requests on an old version may take to end. */
  readonly drainTimeoutMs: number;
  /** The program, where it is no executable. Default: the one that runs. */
  readonly entry?: string;
}

/** The handlers of all routes, each in a process of its own: in the main process. */
export class HandlerProcesses implements HandlerProver {
  private readonly options: HandlerProcessesOptions;
  private readonly processes = new Map<string, HandlerProcess>();
  /** Which one each route has now, by its id. */
  private readonly wanted = new Map<string, string>();
  /** What nothing is sent to as soon as the workers have taken the last change. */
  private readonly leaving = new Set<string>();
  /** Old ones, that still answer what they have begun. */
  private readonly draining = new Set<HandlerProcess>();
  private readonly proofs = new Map<string, NodeJS.Timeout>();
  private hasDirectory = false;
  private starting = 0;
  private readonly queue: (() => void)[] = [];
  private ended = false;

  constructor(options: HandlerProcessesOptions) {
    this.options = options;
  }

  async prove(handler: CompiledHandler, routeId: string): Promise<HandlerFault | undefined> {
    const key = handlerKey(routeId, handler.version);
    const known = this.processes.get(key);
    if (known?.isListening) {
      // It may be about to end: it is published again now.
      this.leaving.delete(key);
      if (!this.isWanted(key)) this.keepProof(key);
      return undefined;
    }
    const fault = await this.start(key, handler, routeId);
    if (fault === undefined) this.keepProof(key);
    else if (!this.isWanted(key)) this.drop(key);
    return fault;
  }

  private keepProof(key: string): void {
    clearTimeout(this.proofs.get(key));
    const timer = setTimeout(() => {
      this.proofs.delete(key);
      if (!this.isWanted(key)) this.drop(key);
    }, provenMs);
    this.proofs.set(key, timer.unref());
  }

  private isWanted(key: string): boolean {
    for (const wanted of this.wanted.values()) if (wanted === key) return true;
    return false;
  }

  /**
   * Has the handlers run that the routes need which a change saves. Call it before the change reaches the workers, and `settle` when all have it.
   * One that can't start is logged, tried again, and never holds up the others. @param patienceMs how long to wait for them at most
   */
  async apply(
    { save, remove }: { readonly save: Iterable<Route>; readonly remove: readonly string[] },
    patienceMs?: number,
  ): Promise<void> {
    const starts: Promise<unknown>[] = [];
    for (const id of remove) this.forget(id);
    for (const route of save) {
      const handler = compileHandler(route.handler, () => {});
      if (handler === null || handler.source === '') this.forget(route.id);
      else starts.push(this.want(route.id, handler));
    }
    if (starts.length === 0) return;
    const all = Promise.all(starts);
    if (patienceMs === undefined) return void (await all);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs);
    });
    await Promise.race([all, late]);
    clearTimeout(timer);
  }

  private forget(routeId: string): void {
    const key = this.wanted.get(routeId);
    if (key === undefined) return;
    this.wanted.delete(routeId);
    this.leaving.add(key);
  }

  private want(routeId: string, handler: CompiledHandler): Promise<unknown> {
    const key = handlerKey(routeId, handler.version);
    if (this.wanted.get(routeId) !== key) this.forget(routeId);
    this.wanted.set(routeId, key);
    this.leaving.delete(key);
    clearTimeout(this.proofs.get(key));
    this.proofs.delete(key);
    return this.start(key, handler, routeId);
  }

  /** The workers have taken the last change: handlers that no route has any more end, when their requests have. */
  settle(): void {
    const { leaving } = this;
    if (leaving.size === 0) return;
    const gone = [...leaving];
    setTimeout(() => {
      for (const key of gone) {
        if (!leaving.delete(key)) continue;
        this.drop(key);
      }
    }, lateMs).unref();
  }

  private drop(key: string): void {
    const process = this.processes.get(key);
    if (process === undefined) return;
    this.processes.delete(key);
    this.draining.add(process);
    void process.drain(this.options.drainTimeoutMs).then(() => this.draining.delete(process));
  }

  /** @returns why it can't run; undefined if it does */
  private async start(key: string, handler: CompiledHandler, routeId: string): Promise<HandlerFault | undefined> {
    const known = this.processes.get(key);
    if (known !== undefined) return known.ready;
    if (this.ended) return { message: 'oo is ending' };
    this.makeDirectory();
    const { directory, field, log, onHung, entry = process.argv[1] } = this.options;
    if (this.starting >= startsAtOnce) await new Promise<void>((resolve) => this.queue.push(resolve));
    // Somebody else may have started it meanwhile.
    const other = this.processes.get(key);
    if (other !== undefined) {
      this.queue.shift()?.();
      return other.ready;
    }
    this.starting++;
    const socketPath = handlerSocket(directory, key);
    const started = new HandlerProcess({
      ...{ routeId, handler, socketPath, directory, field, entry, log },
      onHung: () => onHung(key),
    });
    this.processes.set(key, started);
    const fault = await started.ready;
    this.starting--;
    this.queue.shift()?.();
    return fault;
  }

  private makeDirectory(): void {
    if (this.hasDirectory) return;
    this.hasDirectory = true;
    mkdirSync(this.options.directory, { recursive: true, mode: 0o700 });
  }

  /** The process ids of those that run now, by route. */
  pids(): Map<string, number> {
    const pids = new Map<string, number>();
    for (const [id, key] of this.wanted) {
      const pid = this.processes.get(key)?.pid;
      if (pid !== undefined) pids.set(id, pid);
    }
    return pids;
  }

  /** Ends all at once. */
  stop(): void {
    this.ended = true;
    for (const timer of this.proofs.values()) clearTimeout(timer);
    for (const process of [...this.processes.values(), ...this.draining]) process.kill();
    this.processes.clear();
    if (this.hasDirectory) rmSync(this.options.directory, { recursive: true, force: true });
  }
}

/** Takes away what an oo that was killed has left. Only for who holds the state directory's lock. */
export function clearHandlers({ directory }: HandlerSettings): void {
  const parent = dirname(directory);
  if (parent.endsWith(handlersDirectory)) rmSync(parent, { recursive: true, force: true });
}
