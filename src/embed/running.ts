import { randomBytes } from 'node:crypto';
import type { Certificate } from '../certs/types.ts';
import { type RouteTable, routesOf } from '../core/table.ts';
import type { Route } from '../core/types.ts';
import { Edge } from '../edge/edge.ts';
import type { EdgeSettings } from '../edge/settings.ts';
import type { AddressFlip } from '../services/pool-health.ts';
import type { Services } from '../services/services.ts';
import type { Definition } from '../services/types.ts';
import type { CertificateNews, CertificateOptions } from './certificate-types.ts';
import { type EmbeddedCertificates, startCertificates } from './certificates.ts';
import { EdgeHandlers, type EdgeTable } from './handlers.ts';
import { startHealth } from './health.ts';
import { EdgeListenError } from './listen-error.ts';
import type { EdgePorts, EdgeStats } from './types.ts';

/** What an edge is to do, proven. Changes of routes, services and certificates are made here. */
export interface Plan {
  readonly settings: EdgeSettings;
  readonly hasHttp: boolean;
  routes: EdgeTable;
  definitions: readonly Definition[];
  readonly certificates: CertificateOptions;
  own: readonly Certificate[];
  /** Base64; undefined: one at random. */
  readonly secrets: readonly string[] | undefined;
  readonly accessLog: ((line: string) => void) | null;
  readonly log: (line: string) => void;
  readonly onHealth: (flip: AddressFlip) => void;
  readonly onCertificate: (news: CertificateNews) => void;
}

const secretBytes = 32;

/** An edge that listens, with all that runs beside it. */
export class Running {
  readonly certificates: EmbeddedCertificates | undefined;
  readonly ports: EdgePorts;
  readonly #plan: Plan;
  readonly #edge: Edge;
  readonly #services: Services;
  readonly #handlers: EdgeHandlers;
  #stopping = false;
  readonly #hastened: NodeJS.Timeout[] = [];

  private constructor(
    plan: Plan,
    edge: Edge,
    services: Services,
    certificates: EmbeddedCertificates | undefined,
    handlers: EdgeHandlers,
    ports: EdgePorts,
  ) {
    this.#plan = plan;
    this.#edge = edge;
    this.#services = services;
    this.certificates = certificates;
    this.#handlers = handlers;
    this.ports = ports;
  }

  /** @throws EdgeListenError, CertificateStorageError, TypeError for a CA that can't work; nothing is left open then */
  static async start(plan: Plan): Promise<Running> {
    const { settings, log, accessLog } = plan;
    const handlers = new EdgeHandlers(log);
    const edge = new Edge({ ...settings, handlers: handlers.settings }, { access: accessLog, error: log });
    let services: Services | undefined;
    let certificates: EmbeddedCertificates | undefined;
    try {
      edge.joinWorkers({ index: 0, count: 1 }, plan.secrets ?? [randomBytes(secretBytes).toString('base64')]);
      // `takeRoutes` has those that come meanwhile.
      const { routes } = plan;
      await handlers.follow(routes);
      edge.table = routes.table;
      const { definitions, own } = plan;
      services = await startHealth({
        ...{ edge, definitions, log, onFlip: plan.onHealth },
        table: () => edge.table,
      });
      if (settings.https !== null)
        certificates = await startCertificates({
          ...{ edge, own, log, options: plan.certificates, onNews: plan.onCertificate },
        });
      return new Running(plan, edge, services, certificates, handlers, await openListeners(edge, plan));
    } catch (error) {
      edge.close();
      handlers.stop();
      await Promise.all([services?.stop(), certificates?.stop()]);
      throw error;
    }
  }

  /** Takes the plan's routes; to be called once after the start. */
  takeRoutes(): void {
    // Nobody would end what is made for them.
    if (this.#stopping) return;
    const { routes, log } = this.#plan;
    const ready = this.#handlers.follow(routes);
    if (ready === undefined) return this.#swap(routes.table);
    // Their requests answer 502, and all others have no part in it.
    const failed = (error: Error) =>
      log(`handlers can't listen in ${this.#handlers.settings.directory}: ${error.message}`);
    void ready.catch(failed).then(() => {
      if (this.#plan.routes === routes && !this.#stopping) this.#swap(routes.table);
    });
  }

  #swap(table: RouteTable): void {
    this.#edge.table = table;
    this.#services.routesChanged();
    this.certificates?.follow(sourcesOf(table));
  }

  async takeServices(): Promise<void> {
    await this.#services.registry.setDefinitions(this.#plan.definitions);
  }

  stats(): EdgeStats {
    const { clients, handshakes, upstreams } = this.#edge;
    return {
      ...{ clients: clients.size, handshakes: handshakes.size, upstreams: upstreams.size },
      ...this.#edge.figures(),
      health: this.#services.view(),
    };
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    // At once: an edge that drains takes no connections, and a CA that looks at it then counts a failure.
    const stopped = this.certificates?.stop();
    await this.#edge.drain(timeoutMs);
    for (const timer of this.#hastened) clearTimeout(timer);
    this.#handlers.stop();
    await Promise.all([stopped, this.#services.stop()]);
  }

  /** Cuts what is still under way after this time. */
  hasten(timeoutMs: number): void {
    this.#hastened.push(setTimeout(() => this.#edge.close(), timeoutMs));
  }
}

async function openListeners(edge: Edge, { settings: { http, https }, hasHttp }: Plan): Promise<EdgePorts> {
  const failed = (listener: 'http' | 'https') => (error: NodeJS.ErrnoException) => {
    throw new EdgeListenError(listener, (listener === 'https' ? https : null) ?? http, error);
  };
  const httpsPort = https === null ? 0 : await edge.listenTls(https, false).catch(failed('https'));
  const httpPort = hasHttp ? await edge.listen(http, false).catch(failed('http')) : 0;
  return { httpPort, httpsPort };
}

function* sourcesOf(table: RouteTable): Iterable<Route> {
  for (const { route } of routesOf(table)) yield route;
}
