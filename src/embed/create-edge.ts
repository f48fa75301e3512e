import { defaultEdgeSettings } from '../edge/settings.ts';
import { proveCertificates } from './certificate-options.ts';
import { readOwn } from './own-certificates.ts';
import { compileCopies, definitionsOf } from './routes.ts';
import { type Plan, Running } from './running.ts';
import { proveRuntime } from './runtime.ts';
import { readSecrets, readSettings } from './settings.ts';
import { proveFunction, proveMapping, show } from './shape.ts';
import type { EdgeOptions, EdgePorts, EdgeRoute, EmbeddedEdge } from './types.ts';

/**
 * Makes an edge in this process: the raw-socket data path of `oo serve` with its TLS, certificates, probes and balancing; no workers, no
 * database. Nothing runs before `listen`. Several in one process are strangers to each other.
 * @throws TypeError for an option, a route or a certificate that is refused; Error where this is no Node 22 or newer
 */
export function createEdge(options: EdgeOptions): EmbeddedEdge {
  proveRuntime();
  return new LibraryEdge(options);
}

/** What a timer takes. */
const longestMs = 2 ** 31 - 1;

class LibraryEdge implements EmbeddedEdge {
  readonly #plan: Plan;
  readonly #handlers: EdgeOptions['handlers'];
  #revision = 1;
  /** While it listens, or is about to. */
  #starting: Promise<Running> | undefined;
  #running: Running | undefined;
  #closing: Promise<void> | undefined;
  /** Changes of certificates, one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: EdgeOptions) {
    const settings = readSettings(options);
    const { certificates = {}, hooks = {} } = options;
    proveCallbacks(options);
    proveCertificates(certificates);
    const log = guarded(options.log ?? toStandardError, () => {});
    const guard = <T>(hook: ((value: T) => void) | undefined) =>
      guarded(hook ?? (() => {}), (error) => log(`a hook has thrown: ${error}`));
    this.#handlers = options.handlers;
    this.#plan = {
      settings,
      hasHttp: options.http !== null,
      routes: compileCopies(options.routes, 1, options.handlers),
      definitions: definitionsOf(options.services ?? {}),
      certificates,
      own: readOwn(certificates.own ?? [], Date.now(), log),
      secrets: readSecrets(options.stickySecrets),
      accessLog: options.accessLog == null ? null : guarded(options.accessLog, () => {}),
      log,
      onHealth: guard(hooks.onHealth),
      onCertificate: guard(hooks.onCertificate),
    };
  }

  async listen(): Promise<EdgePorts> {
    if (this.#closing !== undefined) throw new Error('this edge is closed; make another with createEdge');
    if (this.#starting !== undefined) throw new Error('this edge listens already, or is about to');
    this.#starting = Running.start(this.#plan);
    try {
      this.#running = await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
    this.#running.takeRoutes();
    return this.#running.ports;
  }

  update(routes: Iterable<EdgeRoute>): void {
    this.#plan.routes = compileCopies(routes, ++this.#revision, this.#handlers);
    this.#running?.takeRoutes();
  }

  async setServices(services: NonNullable<EdgeOptions['services']>): Promise<void> {
    this.#plan.definitions = definitionsOf(services);
    await this.#started();
    await this.#running?.takeServices();
  }

  async setCertificates(own: NonNullable<NonNullable<EdgeOptions['certificates']>['own']>): Promise<void> {
    const proven = readOwn(own, Date.now(), this.#plan.log);
    this.#plan.own = proven;
    await this.#started();
    this.#turn = this.#turn.catch(() => {}).then(() => this.#running?.certificates?.replaceOwn(proven));
    await this.#turn;
  }

  certificates(): ReturnType<EmbeddedEdge['certificates']> {
    return this.#running?.certificates?.list() ?? [];
  }

  async localRoot(): Promise<string> {
    const certificates = this.#running?.certificates;
    if (certificates === undefined) throw new Error('there is no local CA before listen, nor without https');
    return certificates.localRoot();
  }

  stats(): ReturnType<EmbeddedEdge['stats']> {
    return this.#running?.stats() ?? { clients: 0, handshakes: 0, upstreams: 0, pools: [], instances: [], health: [] };
  }

  close({ timeoutMs = defaultEdgeSettings.drainTimeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0))
      return Promise.reject(new TypeError(`timeoutMs is ${show(timeoutMs)}; expected milliseconds, 0 or more`));
    const timeout = Math.min(timeoutMs, longestMs);
    if (this.#closing !== undefined) this.#running?.hasten(timeout);
    this.#closing ??= this.#end(timeout);
    return this.#closing;
  }

  /** What is changed while it starts is told to it then. */
  async #started(): Promise<void> {
    await this.#starting?.catch(() => {});
  }

  async #end(timeoutMs: number): Promise<void> {
    const running = await this.#starting?.catch(() => undefined);
    await running?.stop(timeoutMs);
    this.#running = undefined;
  }
}

/** What a callback of the embedder's throws, or rejects with, must not end a request, nor the process. */
function guarded<T>(callback: (value: T) => unknown, onError: (error: unknown) => void): (value: T) => void {
  return (value) => {
    try {
      const given = callback(value);
      if (typeof given === 'object' && given !== null) Promise.resolve(given).catch(onError);
    } catch (error) {
      onError(error);
    }
  };
}

/** @throws TypeError */
function proveCallbacks({ log, accessLog, hooks, handlers }: EdgeOptions): void {
  const takesLine = 'a function that takes a line';
  if (log !== undefined) proveFunction('log', log, takesLine);
  if (accessLog !== undefined && accessLog !== null) proveFunction('accessLog', accessLog, takesLine);
  if (hooks !== undefined) {
    proveMapping('hooks', hooks, 'such as { onHealth(flip) {} }', ['onHealth', 'onCertificate']);
    for (const [name, hook] of Object.entries(hooks))
      if (hook !== undefined) proveFunction(`hooks.${name}`, hook, 'a function');
  }
  if (handlers === undefined) return;
  proveMapping('handlers', handlers, "such as { './auth.mjs': auth }");
  for (const [name, handler] of Object.entries(handlers))
    proveFunction(`handlers['${name}']`, handler, 'a function: (request, next, context) => Response');
}

function toStandardError(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}
