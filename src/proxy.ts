import { type ExecutionContext, Hono } from 'hono';
import { type Cidr, isWithin, parseCidr } from './core/cidr.ts';
import { decide } from './core/decide.ts';
import { type FailureCode, failureBody, failures } from './core/failure.ts';
import { forwardedFields, keptFields, requestPlan } from './core/headers.ts';
import { normalizeAuthority } from './core/host.ts';
import { outcomeOfStatus } from './core/outlier-outcome.ts';
import { decideRetry, isIdempotent, tryDeadline } from './core/retry.ts';
import { compile, getRoute, type RouteTable, routesOf } from './core/table.ts';
import type { CompiledRoute, Route, Scheme } from './core/types.ts';
import { bodyLimit, classify, decodes, fetchExtras, toClient } from './proxy-fetch.ts';
import { type Picking, type ProxyMember, ProxyPool } from './proxy-pool.ts';

/** Time from a request sent to the response's head, where the route says nothing, ms. */
export const defaultResponseTimeoutMs = 60_000;

export interface ProxyOptions {
  /** The first routes; `update` replaces them. */
  readonly routes: Iterable<Route>;
  /** Default: the runtime's own. */
  readonly fetch?: typeof fetch;
  /** Addresses or CIDRs of proxies whose X-Forwarded-* are believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  /**
   * The peer's address. Default: what @hono/node-server, Deno and Bun put into `env`. Elsewhere, and on Workers
   * (`(request) => request.headers.get('cf-connecting-ip') ?? undefined`), it must be given, or X-Forwarded-For stays out.
   */
  readonly clientIp?: (request: Request, env: unknown) => string | undefined;
  /** Told of every failure that is not the client's own, with its cause, for a log. Default: nobody is. */
  readonly onFailure?: (failure: ProxyFailure) => void;
  /** Epoch ms; for request ids and balancing. Default: the runtime's clock. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1; for request ids and balancing. Default: the runtime's. */
  readonly random?: () => number;
}

/** A failure with status 500 or more. */
export interface ProxyFailure {
  readonly code: FailureCode;
  readonly requestId: string;
  readonly route: Route | undefined;
  readonly cause: unknown;
}

export interface ProxyApp {
  /** To be mounted in another Hono app, or served by @hono/node-server. */
  readonly app: Hono;
  /** A handler as Deno, Bun, Workers and service workers take it. Never rejects. */
  fetch(request: Request, env?: unknown, context?: unknown): Promise<Response>;
  /** Takes other routes from here on; requests under way keep theirs. Throws a TypeError, and changes nothing, if one is refused. */
  update(routes: Iterable<Route>): void;
}

/**
 * The portable transport: Request → decide → pick → fetch → Response, on Web standards only.
 *
 * A target may be a list: policies, weights, priorities, hash, canaries, stops and retries on another target are as at the edge; each program
 * balances by what it sees itself. Without the edge's processes there is no health (probes, ejection, breakers, limits: a target that fails is only picked less
 * often), no sticky cookie and no `service://` (refused), and a paused route answers 503 at once.
 *
 * What a runtime's `fetch` cannot do, this cannot: `h2c://` targets (refused), tunnels (an Upgrade is ignored), trailers, 1xx responses, a body in GET or HEAD
 * (refused), `insecureSkipVerify`, `connectTimeoutMs` and `idleTimeoutMs`. Node and Deno put the target into Host, whatever the route
 * says (X-Forwarded-Host has the client's), and add fields of their own where the client sent none (Accept-Language, Sec-Fetch-Mode).
 * The edge has none of these limits.
 *
 * @throws TypeError for a route or a trusted proxy that is refused; `cause` has the route faults
 */
export function createProxy(options: ProxyOptions): ProxyApp {
  const proxy = new FetchProxy(options);
  const app = new Hono();
  app.all('*', (context) => proxy.handle(context.req.raw, context.env));
  return {
    app,
    // Hono knows the context of Workers by its members; the other runtimes have none.
    fetch: async (request, env, context) => app.fetch(request, env as object, context as ExecutionContext | undefined),
    update: (routes) => proxy.update(routes),
  };
}

/** One request on its way. */
interface Exchange {
  readonly request: Request;
  readonly url: URL;
  readonly id: string;
}

/** An exchange that is forwarded, over all of its attempts. */
interface Trip extends Exchange, Omit<Picking, 'now'> {
  readonly pool: ProxyPool;
  /** What is sent; Host is set for each attempt. */
  readonly sent: Headers;
  readonly canary: boolean;
  readonly startedAt: number;
  readonly tried: ProxyMember[];
}

/** How an attempt without an answer went. */
interface Miss {
  readonly code: FailureCode;
  readonly cause: unknown;
  /** Its own time was over, the route's was not. */
  readonly slow?: boolean;
}

class FetchProxy {
  private table: RouteTable;
  private readonly options: ProxyOptions;
  private readonly trusted: readonly Cidr[];
  /** By route id, from a route's first request on. */
  private readonly pools = new Map<string, ProxyPool>();

  constructor(options: ProxyOptions) {
    this.options = options;
    this.trusted = (options.trustedProxies ?? []).map(trustedRange);
    this.table = compileAll(options.routes, 1);
  }

  update(routes: Iterable<Route>): void {
    this.table = compileAll(routes, this.table.revision + 1);
    for (const id of this.pools.keys()) if (getRoute(this.table, id) === undefined) this.pools.delete(id);
  }

  async handle(request: Request, env: unknown): Promise<Response> {
    const exchange = { request, url: new URL(request.url), id: this.requestId() };
    try {
      return await this.answer(exchange, env);
    } catch (cause) {
      return this.fail(exchange, 'OO_INTERNAL', undefined, cause);
    }
  }

  private async answer(exchange: Exchange, env: unknown): Promise<Response> {
    const { request, url } = exchange;
    if (request.method === 'CONNECT' || request.method === 'TRACE') return this.fail(exchange, 'OO_METHOD_REFUSED');
    const decision = decide(this.table, schemeOf(url), url.host, url.pathname);
    if (decision.kind === 'reply') return this.fail(exchange, decision.code);
    const length = Number(request.headers.get('content-length') ?? 0);
    if (length > (decision.route.route.maxBodyBytes ?? length)) return this.fail(exchange, 'OO_BODY_TOO_LARGE');
    // fetch has no body for GET and HEAD; to send them on without the one they came with would change what they mean.
    if (length > 0 && request.body === null) return this.fail(exchange, 'OO_BAD_FRAMING');
    return this.forward(exchange, this.poolOf(decision.route), env);
  }

  private poolOf(route: CompiledRoute): ProxyPool {
    const before = this.pools.get(route.id);
    if (before?.route === route) return before;
    const pool = new ProxyPool(route, before, this.now(), this.options.random ?? Math.random);
    // A request that began before an update may come here after it.
    if (getRoute(this.table, route.id) === route) this.pools.set(route.id, pool);
    return pool;
  }

  private async forward(exchange: Exchange, pool: ProxyPool, env: unknown): Promise<Response> {
    const { request } = exchange;
    const { route, gate } = pool;
    const startedAt = this.now();
    const state = gate.stateAt(startedAt);
    if (state !== 'open') {
      const code = state === 'stopped' ? 'OO_STOPPED' : 'OO_PAUSED';
      return this.fail(exchange, code, route, undefined, gate.message, gate.retryAfter(startedAt));
    }
    const clientIp = (this.options.clientIp ?? peerAddress)(request, env) ?? '';
    const random = this.options.random ?? Math.random;
    const picking = { headers: request.headers, clientIp, now: startedAt, random };
    const sent = this.requestHeaders(exchange, clientIp);
    const trip = { ...exchange, ...picking, pool, sent, canary: pool.isCanary(picking), startedAt, tried: [] };
    pool.budget.note(startedAt);
    let member = pool.pick(picking, trip.canary, trip.tried);
    if (member === undefined) return this.fail(exchange, 'OO_NO_INSTANCE', route);
    for (;;) {
      const outcome = await this.attempt(trip, member);
      if (outcome instanceof Response) return outcome;
      member = this.next(trip, outcome);
      if (member === undefined) return this.fail(exchange, outcome.code, route, outcome.cause);
    }
  }

  /** The target of another attempt, if there may be one. */
  private next(trip: Trip, { code, slow = false }: Miss): ProxyMember | undefined {
    const { request, pool, canary, tried, startedAt } = trip;
    const failed = code === 'OO_CONNECT_FAILED' || code === 'OO_UPSTREAM_CLOSED';
    const late = code === 'OO_CONNECT_TIMEOUT' || slow;
    const replayable = request.body === null || !(request.bodyUsed || request.body.locked);
    if (!(failed || late) || !replayable) return undefined;
    const now = this.now();
    const member = pool.pick({ ...trip, now }, canary, tried);
    const elsewhere = member !== undefined && !tried.includes(member);
    // What was too slow once would be so again.
    if (!failed && !elsewhere) return undefined;
    // A fetch that failed may have sent anything, unless it says that it could not connect. Whether its connection was reused, it never says.
    const sentBytes = !code.startsWith('OO_CONNECT');
    const idempotent = isIdempotent(request.method);
    const last = { attempt: tried.length, sentBytes, reused: true, idempotent, replayable, responseStarted: false };
    const { retry } = pool.route.pool.settings;
    const verdict = decideRetry(retry, last, elsewhere, request.signal.aborted, startedAt, now, pool.budget);
    return verdict === 'retry' ? member : undefined;
  }

  /** One fetch, up to the response's head. */
  private async attempt(trip: Trip, member: ProxyMember): Promise<Response | Miss> {
    const { request, url, sent, startedAt } = trip;
    const { route } = trip.pool;
    const { target } = member;
    const { settings } = route.pool;
    const begun = this.now();
    const responseMs = route.route.responseTimeoutMs ?? defaultResponseTimeoutMs;
    const tryMs = tryDeadline(settings.retry, startedAt, begun) - begun;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), Math.max(0, Math.min(responseMs, tryMs)));
    const limit = bodyLimit(request, route);
    sent.set('host', route.route.hostHeader === 'upstream' ? target.authority : hostAsSent(request, url));
    trip.tried.push(member);
    member.start(begun);
    try {
      const response = await (this.options.fetch ?? fetch)(
        `${target.tls ? 'https' : 'http'}://${target.authority}${target.basePath}${url.pathname}${url.search}`,
        {
          method: request.method,
          headers: sent,
          body: limit.body,
          redirect: 'manual',
          signal: AbortSignal.any([request.signal, late.signal]),
          ...fetchExtras,
        },
      );
      const answer = toClient(response, request.method);
      const now = this.now();
      const outcome = outcomeOfStatus(response.status, settings.instance.failureStatuses);
      if (outcome === 'ok') member.reply(now - begun, now);
      else member.failure(now);
      return answer;
    } catch (cause) {
      const isClients = request.signal.aborted || limit.exceeded();
      if (isClients) member.cancel();
      else member.failure(this.now());
      if (request.signal.aborted) return new Response(null, { status: clientClosed });
      if (limit.exceeded()) return { code: 'OO_BODY_TOO_LARGE', cause };
      if (late.signal.aborted) return { code: 'OO_UPSTREAM_TIMEOUT', cause, slow: tryMs < responseMs };
      return { code: classify(cause), cause };
    } finally {
      clearTimeout(timer);
    }
  }

  /** All fields but Host, which is the target's affair. */
  private requestHeaders({ request, url }: Exchange, clientIp: string): Headers {
    const trusted = this.trusted.length > 0 && isWithin(this.trusted, clientIp);
    const plan = requestPlan(trusted);
    const headers = keptFields(request.headers, plan);
    for (const name of ['host', 'expect', 'transfer-encoding']) headers.delete(name);
    if (request.body === null) headers.delete('content-length');
    const prior = Object.fromEntries(plan.capture.map((name) => [name, request.headers.get(name) ?? undefined]));
    const scheme = schemeOf(url);
    const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
    const host = hostAsSent(request, url);
    for (const [name, value] of forwardedFields({ clientIp, scheme, host, port, trusted, prior }))
      headers.append(name, value);
    // What the runtime decodes must not be encoded first: it would cost time, and the client gets it plain in any case.
    if (decodes) headers.set('accept-encoding', 'identity');
    return headers;
  }

  private fail(
    { request, url, id }: Exchange,
    code: FailureCode,
    route?: CompiledRoute,
    cause?: unknown,
    detail?: string,
    retryAfterSeconds = 1,
  ): Response {
    const { status } = failures[code];
    if (status >= 500) this.options.onFailure?.({ code, requestId: id, route: route?.route, cause });
    const accept = request.headers.get('accept') ?? '';
    const { contentType, body } = failureBody(code, {
      ...{ accept, requestId: id, host: url.host, path: url.pathname, detail },
    });
    const headers = new Headers({
      'content-type': contentType,
      'cache-control': 'no-store',
      'x-request-id': id,
      'x-oo-code': code,
    });
    if (status === 405) headers.set('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
    if (status === 503) headers.set('retry-after', String(retryAfterSeconds));
    return new Response(request.method === 'HEAD' ? null : body, { status, headers });
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }

  private requestId(): string {
    const random = this.options.random ?? Math.random;
    return `${this.now().toString(36)}${Math.floor(random() * 2 ** 40)
      .toString(36)
      .padStart(8, '0')}`;
  }
}

// nginx's word for a client that left; nobody reads it.
const clientClosed = 499;

function compileAll(routes: Iterable<Route>, revision: number): RouteTable {
  const result = compile(routes, revision);
  if ('faults' in result)
    throw new TypeError(result.faults.map((fault) => fault.message).join('; '), { cause: result.faults });
  for (const { id, pool } of routesOf(result.table)) {
    for (const { service, targets } of pool.canary === null ? [pool] : [pool, pool.canary]) {
      const why = service === '' ? "fetch can't speak h2c" : 'nothing registers here';
      const unreachable =
        service === '' ? targets.find(({ target }) => target.http2)?.target.href : `service://${service}`;
      if (unreachable !== undefined)
        throw new TypeError(`route '${id}' has the target '${unreachable}': ${why}, use the edge (oo serve)`);
    }
  }
  return result.table;
}

function trustedRange(text: string): Cidr {
  const range = parseCidr(text);
  if (typeof range === 'string') throw new TypeError(`trusted proxy ${range}`);
  return range;
}

function schemeOf(url: URL): Scheme {
  return url.protocol === 'https:' ? 'https' : 'http';
}

/** The Host field, if it means what the URL says; the URL is what was decided by. */
function hostAsSent(request: Request, url: URL): string {
  const sent = request.headers.get('host') ?? '';
  return normalizeAuthority(sent)?.host === normalizeAuthority(url.host)?.host ? sent : url.host;
}

/** The peer's address as @hono/node-server, Deno and Bun give it. */
function peerAddress(request: Request, env: unknown): string | undefined {
  const from = (env ?? {}) as {
    incoming?: { socket?: { remoteAddress?: string } };
    remoteAddr?: { hostname?: string };
    requestIP?: (request: Request) => { address?: string } | null;
  };
  return from.incoming?.socket?.remoteAddress ?? from.remoteAddr?.hostname ?? from.requestIP?.(request)?.address;
}
