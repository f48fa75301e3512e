import net from 'node:net';
import { type FailureCode, failures } from '../core/failure.ts';
import { type Forwarding, forwardedLines, plainIp, requestPlan, responsePlan } from '../core/headers.ts';
import { emptyTable, getRoute, type RouteTable } from '../core/table.ts';
import type { CompiledRoute, Scheme } from '../core/types.ts';
import { RequestScanner, ResponseScanner } from '../http1/scan.ts';
import type { NameSource } from '../services/resolver-types.ts';
import { createSharedBufferServer } from './accept.ts';
import { CertificateTable } from './certificates.ts';
import { ChallengeTable } from './challenges.ts';
import { ClientConnection, type ClientSocket } from './client.ts';
import { clock, startClock } from './clock.ts';
import type { OpenUpstream } from './downstream.ts';
import type { EdgeClient } from './edge-client.ts';
import { Guards } from './guards.ts';
import { openBack } from './handler-back.ts';
import { Handlers } from './handler-visits.ts';
import { HostCache } from './host-cache.ts';
import type { OutcomeCounts, PoolsChange, Question, Suspicion, WorkerFigures, WorkerPlace } from './messages.ts';
import { Mirrors } from './mirrors.ts';
import type { EdgePool } from './pool.ts';
import { Pools } from './pools.ts';
import { RecentHeads } from './recent.ts';
import { compileBuiltIn } from './service-port.ts';
import type { EdgeSettings, ListenAddress } from './settings.ts';
import { drainGraceMs, maxResponseFields, maxResponseHeadBytes } from './settings.ts';
import { TlsHandshake } from './tls-handshake.ts';
import { arrivals, type OwnedSocket } from './tls-socket.ts';
import { createTrust } from './trust.ts';
import { WaitLines } from './wait-lines.ts';

const trustedPlan = requestPlan(true);

/** Where an edge says what happened; both take one line without its end. */
export interface EdgeLog {
  readonly access: ((line: string) => void) | null;
  readonly error: (line: string) => void;
}

/**
 * The data path of one process: its listeners, its clients, its upstream connections, and the route table that they
 * read. The table is swapped by one assignment; what is in flight keeps the route that it was decided on.
 */
export class Edge {
  readonly settings: EdgeSettings;
  readonly clients = new Set<EdgeClient>();
  /** Connections to a TLS listener that are no clients yet, the oldest first. */
  readonly handshakes = new Set<TlsHandshake>();
  readonly upstreams = new Set<OpenUpstream>();
  readonly certificates: CertificateTable;
  readonly challenges = new ChallengeTable();
  readonly pools: Pools;
  /** Asks whether it is worth to look again for a certificate or a challenge that is not there; null: it is not. */
  ask: ((question: Question) => Promise<boolean>) | null = null;
  /** Told which instance is held for an outlier. */
  onSuspect: (suspicion: Suspicion) => void = () => {};
  /** Told once a second what requests have met. */
  onOutcomes: (counts: readonly OutcomeCounts[]) => void = () => {};
  place: WorkerPlace = { index: 0, count: 1 };
  readonly scanner: RequestScanner;
  readonly trustedScanner: RequestScanner;
  readonly responseScanner: ResponseScanner;
  readonly isTrusted: (peer: string) => boolean;
  readonly accessLog: ((line: string) => void) | null;
  readonly hosts: Readonly<Record<Scheme, HostCache>> = { http: new HostCache('http'), https: new HostCache('https') };
  /** Copies of requests. */
  readonly mirrors: Mirrors;
  /** Requests that wait. */
  readonly lines = new WaitLines();
  readonly guards = new Guards();
  readonly handlers: Handlers;
  /** The heads of the last requests; none is kept until `resize` says how many. */
  readonly recent = new RecentHeads();
  draining = false;
  /** Where the service port's own paths lead; null: nowhere. */
  readonly builtIn: CompiledRoute | null;
  /** The TLS listener's, or 0. */
  httpsPort = 0;
  private routes: RouteTable = emptyTable();
  private readonly log: EdgeLog;
  private readonly servers: net.Server[] = [];
  private readonly stopClock: () => void;
  private onDrained: (() => void) | null = null;

  /** @param names where targets' names are asked for; default: the system's */
  constructor(settings: EdgeSettings, log: EdgeLog, names?: NameSource) {
    this.settings = settings;
    this.log = log;
    this.accessLog = log.access;
    this.builtIn = compileBuiltIn(settings.builtInSocket);
    this.certificates = new CertificateTable((id, why) => log.error(`certificate ${id} can't be served: ${why}`));
    this.pools = new Pools(this, log.error, names);
    this.mirrors = new Mirrors(log.error);
    this.handlers = new Handlers(this, settings, openBack);
    this.isTrusted = createTrust(settings.trustedProxies);
    this.scanner = new RequestScanner(requestPlan(false), settings);
    this.trustedScanner = new RequestScanner(trustedPlan, settings);
    const limits = { maxHeadBytes: maxResponseHeadBytes, maxFields: maxResponseFields, maxTargetBytes: 0 };
    this.responseScanner = new ResponseScanner(responsePlan, limits);
    this.stopClock = startClock((now) => this.sweep(now));
  }

  get table(): RouteTable {
    return this.routes;
  }

  set table(table: RouteTable) {
    this.routes = table;
    this.lines.onChange();
    this.guards.onChange((id) => getRoute(table, id)?.options?.rateLimit ?? null);
  }

  /**
   * Opens a listener for HTTP/1.1. Several processes may share its port.
   * @returns the port, which differs from the asked one only where that was 0
   * @throws the system's error: EADDRINUSE, EACCES, EADDRNOTAVAIL …
   */
  async listen(address: ListenAddress, reusePort: boolean): Promise<number> {
    return this.listenPlain(address, reusePort, false);
  }

  private async listenPlain(address: ListenAddress, reusePort: boolean, service: boolean): Promise<number> {
    const server = createSharedBufferServer(
      function (this: net.Socket, n, buffer) {
        (this as ClientSocket).owner.read(buffer, n);
        return true;
      },
      (socket, peer, localPort) => {
        new ClientConnection(this, socket, peer, localPort, 'http', null, service);
      },
    );
    return this.open(server, address, reusePort);
  }

  /**
   * Opens a listener for HTTPS. What it serves is in `certificates`; parameters, result and errors are those of `listen`.
   */
  async listenTls(address: ListenAddress, reusePort: boolean): Promise<number> {
    const server = net.createServer({ noDelay: true, allowHalfOpen: true });
    arrivals.accept(server, (arrival) => void new TlsHandshake(this, arrival));
    this.httpsPort = await this.open(server, address, reusePort);
    return this.httpsPort;
  }

  /** Opens the service port's listener; parameters, result and errors are those of `listen`. */
  async listenService(address: ListenAddress, reusePort: boolean): Promise<number> {
    return this.listenPlain(address, reusePort, true);
  }

  /** Tells which of how many workers this is, and the secrets that they share for sticky cookies. Before the first request. */
  joinWorkers(place: WorkerPlace, secrets: readonly string[]): void {
    this.place = place;
    this.pools.secrets = secrets.map((secret) => Buffer.from(secret, 'base64'));
  }

  /** @see Pools.change */
  changePools(change: PoolsChange, whole: boolean): void {
    this.pools.change(change, whole);
    this.lines.onChange();
  }

  /** @see Pools.serviceRoute */
  serviceRoute(slug: string): CompiledRoute | undefined {
    return this.pools.serviceRoute(slug);
  }

  /** What there is to tell of pools and instances that have had requests. */
  figures(): WorkerFigures {
    return this.pools.figures();
  }

  /**
   * Replaces the keys that session tickets are sealed with, the newest first; each is `ticketKeyBytes` in base64. Edges
   * with the same keys resume each other's sessions.
   */
  setTicketKeys(keys: readonly string[]): void {
    this.certificates.setTicketKeys(keys.map((key) => Buffer.from(key, 'base64')));
  }

  private async open(server: net.Server, address: ListenAddress, reusePort: boolean): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: address.port, host: address.host, backlog: 4096, reusePort }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) => this.log.error(`listener: ${error.message}`));
    this.servers.push(server);
    return (server.address() as net.AddressInfo).port;
  }

  /** @see Pools.poolFor */
  poolFor(route: CompiledRoute): EdgePool {
    return this.pools.poolFor(route);
  }

  /** The forwarding fields for a client that is not a trusted proxy, as bytes. A connection keeps them for its host. */
  forwardedLines(from: Asking): Buffer {
    return Buffer.from(forwardedLines(forwardingOf(from)), 'latin1');
  }

  /** The same for a trusted proxy's request, which says things of its own about the client. */
  priorLines(from: Asking, buffer: Buffer, head: Pick<RequestScanner, 'captures' | 'captureCount'>): Buffer {
    const prior = this.priorFields(buffer, head);
    return Buffer.from(forwardedLines({ ...forwardingOf(from), trusted: true, prior }), 'latin1');
  }

  /** What a trusted proxy says of its client, by names in lower case; several lines of one field are joined. */
  priorFields(
    buffer: Buffer,
    { captures, captureCount }: Pick<RequestScanner, 'captures' | 'captureCount'>,
  ): Readonly<Record<string, string | undefined>> {
    const prior: Record<string, string> = {};
    for (let i = 0; i < captureCount; i += 3) {
      const name = trustedPlan.capture[captures[i]];
      const value = buffer.toString('latin1', captures[i + 1], captures[i + 2]);
      prior[name] = name in prior ? `${prior[name]}, ${value}` : value;
    }
    return prior;
  }

  /** Who a trusted proxy's request is from: of those that it has come through, the last one that is no trusted proxy itself. */
  clientOf(peer: string, buffer: Buffer, head: Pick<RequestScanner, 'captures' | 'captureCount'>): string {
    const chain = this.priorFields(buffer, head)['x-forwarded-for']?.split(',') ?? [];
    let client = peer;
    for (let i = chain.length - 1; i >= 0 && this.isTrusted(client); i--) client = plainIp(chain[i].trim());
    return client;
  }

  /** One line for the log. */
  reportError(line: string): void {
    this.log.error(line);
  }

  /** @param instance its key; '' for none */
  reportFailure(
    code: FailureCode,
    requestId: string,
    route: CompiledRoute | null,
    instance: string,
    cause: string,
    peer: string,
  ): void {
    // In panic what is known to be down is used, too: that explains failures.
    const pool = route !== null && this.pools.poolOf(route)?.state === 'panic' ? ' pool=panic' : '';
    const where = route === null ? '' : ` route=${route.id}${pool}${instance === '' ? '' : ` instance=${instance}`}`;
    const which = requestId === '' ? '' : ` request=${requestId}`;
    this.log.error(
      `${failures[code].status} ${code}${where} client=${peer}${which}: ${cause || failures[code].detail}`,
    );
  }

  logAccess(
    request: string,
    route: CompiledRoute | null,
    instance: string,
    status: number,
    bytes: number,
    peer: string,
    startedAt: number,
  ): void {
    const ms = (performance.now() - startedAt).toFixed(3);
    const at = instance === '' ? '' : `,"instance":${JSON.stringify(instance)}`;
    const to = route === null ? '' : `,"route":${JSON.stringify(route.id)}${at}`;
    const what = request === '' ? '' : `${request},`;
    this.accessLog?.(
      `{"time":"${new Date().toISOString()}","client":"${peer}",${what}"status":${status},"bytes":${bytes},"ms":${ms}${to}}`,
    );
  }

  /**
   * Takes no new connections, lets running requests end, then closes; resolves when all are gone.
   * Idle clients get a moment to bring a request that is already on its way.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    for (const server of this.servers) server.close();
    const grace = setTimeout(() => this.closeIdle(), Math.min(drainGraceMs, timeoutMs));
    const limit = setTimeout(() => this.close(), timeoutMs);
    await new Promise<void>((resolve) => {
      this.onDrained = resolve;
      this.onClientClosed();
    });
    clearTimeout(grace);
    clearTimeout(limit);
    this.close();
  }

  /** Ends everything at once. */
  close(): void {
    for (const server of this.servers) server.close();
    for (const client of this.clients) client.close();
    for (const handshake of this.handshakes) handshake.close();
    for (const upstream of this.upstreams) upstream.destroy();
    this.pools.close();
    this.mirrors.close();
    this.guards.close();
    this.handlers.stop();
    this.stopClock();
  }

  onClientClosed(): void {
    if (this.clients.size === 0 && this.handshakes.size === 0) this.onDrained?.();
  }

  private closeIdle(): void {
    for (const client of this.clients) if (client.isIdle()) client.close();
    for (const handshake of this.handshakes) handshake.close();
  }

  private sweep(now: number): void {
    for (const client of this.clients) {
      if ((client.socket as OwnedSocket).isFlooded?.()) client.close();
      else client.onTick(now);
    }
    for (const handshake of this.handshakes) handshake.onTick(now);
    for (const upstream of this.upstreams) upstream.onTick(now);
    this.pools.onTick(now);
    this.lines.onTick(now);
    this.recent.onTick();
    this.hosts.http.age();
    this.hosts.https.age();
    clock.now = now;
  }
}

/** A client as its connection knows it, and the host that it asks. */
export interface Asking {
  readonly peer: string;
  readonly scheme: Scheme;
  readonly version: '1.1' | '2.0';
  readonly authority: string;
  /** The port that it has reached. */
  readonly localPort: number;
}

function forwardingOf({ peer, scheme, version, authority, localPort }: Asking): Forwarding {
  return { clientIp: peer, scheme, version, host: authority, port: portOf(authority, localPort) };
}

/** The port that the client means: Host's, else the one it has reached. */
function portOf(authority: string, localPort: number): number {
  const port = /:(\d+)$/.exec(authority);
  return port === null ? localPort : Number(port[1]);
}
