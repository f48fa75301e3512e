import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Handler } from '../core/handler-types.ts';
import { type RouteTable, routesOf } from '../core/table.ts';
import { handlerKey, handlerSocket } from '../edge/handler-place.ts';
import type { HandlerSettings } from '../edge/settings.ts';
import { HandlerServer } from '../handler/serve.ts';

/** Requests that were decided on by the old table may still be on their way to the old handler. */
const lateMs = 500;

/** Directories of edges that have not been closed. */
const left = new Set<string>();

/** A program may end without closing its edges. */
function removeLeft(): void {
  for (const directory of left) rmSync(directory, { recursive: true, force: true });
}

/** A table, and the functions of its routes that have a handler, by their ids in normal form. */
export interface EdgeTable {
  readonly table: RouteTable;
  readonly handlers: ReadonlyMap<string, Handler>;
}

/**
 * Runs the embedder's handlers in this process: each behind a unix socket, where the edge finds it as it finds those that `oo serve` runs in
 * processes of their own. Nothing is made before the first route has one.
 */
export class EdgeHandlers {
  /** Where they listen: for the edge. */
  readonly settings: HandlerSettings;
  readonly #log: (line: string) => void;
  readonly #servers = new Map<string, HandlerServer>();
  readonly #starting = new Map<string, Promise<void>>();
  /** Old ones that still listen, by their keys: a table that has them again takes them back. */
  readonly #late = new Map<string, { readonly server: HandlerServer; readonly timer: NodeJS.Timeout }>();
  /** Old ones, with requests. */
  readonly #leaving = new Set<HandlerServer>();
  #hasDirectory = false;

  constructor(log: (line: string) => void) {
    this.#log = log;
    this.settings = {
      directory: join(tmpdir(), `oo-${randomBytes(8).toString('hex')}`),
      field: `x-oo-${randomBytes(16).toString('hex')}`,
    };
  }

  /**
   * Has those listen that a table needs and that do not yet; the others end when their requests have.
   * @returns undefined where all that is needed is there; else what resolves when it is, and rejects with the system's error
   */
  follow({ table, handlers }: EdgeTable): Promise<unknown> | undefined {
    if (handlers.size === 0 && this.#servers.size === 0) return undefined;
    const wanted = new Set<string>();
    const starts: Promise<void>[] = [];
    for (const { id, options } of routesOf(table)) {
      const handler = handlers.get(id);
      const compiled = options?.handler ?? null;
      if (handler === undefined || compiled === null) continue;
      const key = handlerKey(id, compiled.version);
      wanted.add(key);
      const starting = this.#starting.get(key);
      if (starting !== undefined) starts.push(starting);
      if (this.#servers.has(key) || this.#takeBack(key)) continue;
      const { directory, field } = this.settings;
      const { timeoutMs, file } = compiled;
      const socketPath = handlerSocket(directory, key);
      const log = this.#log;
      const server = new HandlerServer({ handler, routeId: id, file, timeoutMs, socketPath, directory, field, log });
      this.#servers.set(key, server);
      const start = this.#start(key, server).finally(() => this.#starting.delete(key));
      this.#starting.set(key, start);
      starts.push(start);
    }
    for (const [key, server] of this.#servers) if (!wanted.has(key)) this.#leave(key, server);
    return starts.length === 0 ? undefined : Promise.all(starts);
  }

  /** Another at its path would be ended with it. */
  #takeBack(key: string): boolean {
    const late = this.#late.get(key);
    if (late === undefined) return false;
    clearTimeout(late.timer);
    this.#late.delete(key);
    this.#servers.set(key, late.server);
    return true;
  }

  #makeDirectory(): void {
    const { directory } = this.settings;
    mkdirSync(directory, { mode: 0o700 });
    this.#hasDirectory = true;
    if (left.size === 0) process.once('exit', removeLeft);
    left.add(directory);
  }

  async #start(key: string, server: HandlerServer): Promise<void> {
    try {
      if (!this.#hasDirectory) this.#makeDirectory();
      await server.listen();
    } catch (error) {
      this.#takeBack(key);
      this.#servers.delete(key);
      throw error;
    }
  }

  #leave(key: string, server: HandlerServer): void {
    this.#servers.delete(key);
    const timer = setTimeout(() => {
      this.#late.delete(key);
      this.#leaving.add(server);
      void server.drain().then(() => this.#leaving.delete(server));
    }, lateMs);
    this.#late.set(key, { server, timer: timer.unref() });
  }

  /** To be called when the edge has closed: nobody asks them any more. */
  stop(): void {
    for (const key of [...this.#late.keys()]) this.#takeBack(key);
    for (const server of [...this.#servers.values(), ...this.#leaving]) void server.drain();
    if (!this.#hasDirectory) return;
    const { directory } = this.settings;
    rmSync(directory, { recursive: true, force: true });
    left.delete(directory);
    if (left.size === 0) process.off('exit', removeLeft);
  }
}
