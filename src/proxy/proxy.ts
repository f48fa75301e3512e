import { type Context, type ExecutionContext, Hono } from 'hono';
import { type Cidr, parseCidr } from '../core/cidr.ts';
import { decide } from '../core/decide.ts';
import { type FailureCode, failures } from '../core/failure.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { Field } from '../core/option-cors.ts';
import { outcomeOfStatus } from '../core/outlier-outcome.ts';
import { decideRetry, isIdempotent, tryDeadline } from '../core/retry.ts';
import { getRoute, type RouteTable } from '../core/table.ts';
import type { CompiledRoute, Route } from '../core/types.ts';
import { ProxyClient, schemeOf } from './client.ts';
import { compressed } from './compress.ts';
import { bodyLimit, classify, fetchExtras, toClient } from './fetch.ts';
import { type GuardAnswer, ProxyGuards } from './guards.ts';
import { type MirrorCopy, ProxyMirrors } from './mirror.ts';
import { runtimeVerify, type VerifyPassword } from './passwords.ts';
import { type Picking, type ProxyMember, ProxyPool } from './pool.ts';
import { type Exchange, failureResponse, guardResponse, type Told } from './reply.ts';
import { rewriteRequest, rewriteResponse, targetOf } from './rewrite.ts';
import { compileAll } from './table.ts';

export type { VerifyPassword };

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
  /**
   * Compares a password with a hash of `oo hash`, for routes with `basicAuth`. Default: by node:crypto, where the runtime has it; elsewhere such
   * routes are refused. A rejection lets nobody in.
   */
  readonly verifyPassword?: VerifyPassword;
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
 * Routes' options (core/option-types.ts) do as at the edge; what a runtime has nothing for is refused: docs/options.md, "In the fetch handler".
 *
 * @throws TypeError for a route or a trusted proxy that is refused; `cause` has the route faults
 */
export function createProxy(options: ProxyOptions): ProxyApp {
  const proxy = new FetchProxy(options);
  const app = new Hono();
  app.all('*', (context) => proxy.handle(context.req.raw, context));
  return {
    app,
    // Hono knows the context of Workers by its members; the other runtimes have none.
    fetch: async (request, env, context) => app.fetch(request, env as object, context as ExecutionContext | undefined),
    update: (routes) => proxy.update(routes),
  };
}

/** What its route's options make of a request. */
interface Changes {
  readonly options: CompiledOptions;
  readonly copied: readonly Field[];
  /** Path and query for the upstream. */
  readonly target: string;
  readonly stripped: string;
}

/** An exchange that is forwarded, over all of its attempts. */
interface Trip extends Exchange, Omit<Picking, 'now'> {
  readonly pool: ProxyPool;
  readonly client: ProxyClient;
  /** Path and query. */
  readonly target: string;
  /** What is sent; Host is set for each attempt. */
  readonly sent: Headers;
  readonly copy: MirrorCopy | null;
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
  private readonly guards: ProxyGuards;
  private readonly mirrors: ProxyMirrors;
  /** By route id, from a route's first request on. */
  private readonly pools = new Map<string, ProxyPool>();

  constructor(options: ProxyOptions) {
    this.options = options;
    this.trusted = (options.trustedProxies ?? []).map(trustedRange);
    const send: typeof fetch = (input, init) => (options.fetch ?? fetch)(input, init);
    this.guards = new ProxyGuards(options.verifyPassword ?? runtimeVerify(), send, () => this.now());
    this.mirrors = new ProxyMirrors(send);
    this.table = this.compile(options.routes, 1);
  }

  private compile(routes: Iterable<Route>, revision: number): RouteTable {
    return compileAll(routes, revision, this.guards.passwords !== null);
  }

  update(routes: Iterable<Route>): void {
    this.table = this.compile(routes, this.table.revision + 1);
    for (const id of this.pools.keys()) if (getRoute(this.table, id) === undefined) this.pools.delete(id);
    this.guards.onChange((id) => getRoute(this.table, id)?.options?.rateLimit ?? null);
  }

  async handle(request: Request, context: Context): Promise<Response> {
    const exchange = { request, url: new URL(request.url), id: this.requestId(), context };
    try {
      return await this.answer(exchange);
    } catch (cause) {
      return this.fail(exchange, 'OO_INTERNAL', { cause });
    }
  }

  private async answer(exchange: Exchange): Promise<Response> {
    const { request, url, id, context } = exchange;
    if (request.method === 'CONNECT' || request.method === 'TRACE') return this.fail(exchange, 'OO_METHOD_REFUSED');
    const decision = decide(this.table, schemeOf(url), url.host, url.pathname);
    if (decision.kind === 'reply') return this.fail(exchange, decision.code);
    const { route } = decision;
    const peer = (this.options.clientIp ?? peerAddress)(request, context.env) ?? '';
    const client = new ProxyClient(request, url, id, peer, this.trusted);
    if (route.options !== null) return this.answerWith(exchange, route, route.options, client);
    return this.checkBody(exchange, route) ?? this.forward(exchange, this.poolOf(route), client, null);
  }

  /** For a route that does more than forward. */
  private async answerWith(
    exchange: Exchange,
    route: CompiledRoute,
    options: CompiledOptions,
    client: ProxyClient,
  ): Promise<Response> {
    const { request } = exchange;
    try {
      const said = await this.guards.meet(route, options, client);
      if (request.signal.aborted) return new Response(null, { status: clientClosed });
      if (said.kind !== 'pass') return this.guardReply(exchange, route, options, said);
      const refused = this.checkBody(exchange, route);
      if (refused !== undefined) return refused;
      const rewritten = targetOf(options, client);
      if (rewritten === undefined) return this.fail(exchange, 'OO_BAD_PATH', { route });
      const changes = { options, copied: said.copied, ...rewritten };
      return await this.forward(exchange, this.poolOf(route), client, changes);
    } catch (cause) {
      return this.fail(exchange, 'OO_INTERNAL', { route, cause });
    }
  }

  /** @returns the answer to a body that can't be sent on */
  private checkBody(exchange: Exchange, route: CompiledRoute): Response | undefined {
    const { request } = exchange;
    const length = Number(request.headers.get('content-length') ?? 0);
    if (length > (route.route.maxBodyBytes ?? length)) return this.fail(exchange, 'OO_BODY_TOO_LARGE', { route });
    // fetch has no body for GET and HEAD; to send them on without the one they came with would change what they mean.
    return length > 0 && request.body === null ? this.fail(exchange, 'OO_BAD_FRAMING', { route }) : undefined;
  }

  private guardReply(exchange: Exchange, route: CompiledRoute, options: CompiledOptions, said: GuardAnswer): Response {
    if (said.kind === 'reply') return guardResponse(exchange, options, said);
    const { code, detail, retryAfter, fields, cause } = said;
    const meant = cause === undefined;
    return this.fail(exchange, code, { route, cause, detail, retryAfter: retryAfter || undefined, fields, meant });
  }

  private poolOf(route: CompiledRoute): ProxyPool {
    const before = this.pools.get(route.id);
    if (before?.route === route) return before;
    const pool = new ProxyPool(route, before, this.now(), this.options.random ?? Math.random);
    // A request that began before an update may come here after it.
    if (getRoute(this.table, route.id) === route) this.pools.set(route.id, pool);
    return pool;
  }

  private async forward(
    exchange: Exchange,
    pool: ProxyPool,
    client: ProxyClient,
    changes: Changes | null,
  ): Promise<Response> {
    const { request, url } = exchange;
    const { route, gate } = pool;
    const startedAt = this.now();
    const state = gate.stateAt(startedAt);
    if (state !== 'open') {
      const code = state === 'stopped' ? 'OO_STOPPED' : 'OO_PAUSED';
      return this.fail(exchange, code, { route, detail: gate.message, retryAfter: gate.retryAfter(startedAt) });
    }
    const random = this.options.random ?? Math.random;
    const picking = { headers: request.headers, clientIp: client.peer, now: startedAt, random };
    const canary = pool.isCanary(picking);
    pool.budget.note(startedAt);
    const tried: ProxyMember[] = [];
    let member = pool.pick(picking, canary, tried);
    if (member === undefined) return this.fail(exchange, 'OO_NO_INSTANCE', { route });
    const sent = client.headers();
    if (changes !== null)
      rewriteRequest(sent, changes.options, changes.copied, changes.stripped, client.fill(route.id));
    const target = changes === null ? url.pathname + url.search : changes.target;
    const copy = changes === null ? null : this.copyOf(exchange, route, changes, client, sent, random);
    const trip = { ...exchange, ...picking, pool, client, target, sent, copy, canary, startedAt, tried };
    for (;;) {
      const outcome = await this.attempt(trip, member);
      if (outcome instanceof Response) return changes === null ? outcome : this.change(trip, changes.options, outcome);
      member = this.next(trip, outcome);
      if (member === undefined) {
        copy?.drop();
        return this.fail(exchange, outcome.code, { route, cause: outcome.cause });
      }
    }
  }

  private copyOf(
    { request, context }: Exchange,
    { route }: CompiledRoute,
    { options: { mirror }, target }: Changes,
    client: ProxyClient,
    sent: Headers,
    random: () => number,
  ): MirrorCopy | null {
    if (mirror === null) return null;
    const host = route.hostHeader === 'upstream' ? mirror.target.authority : client.host;
    const waitUntil = (copy: Promise<void>) => context.executionCtx.waitUntil(copy);
    return this.mirrors.begin({ mirror, method: request.method, path: target, sent, host, waitUntil }, random());
  }

  /** What the route's options make of an upstream's answer. */
  private async change(trip: Trip, options: CompiledOptions, answer: Response): Promise<Response> {
    const { request, client, sent, pool } = trip;
    const { route } = pool;
    rewriteResponse(answer.headers, options, client.field('origin'), client.fill(route.id));
    if (options.compress === null) return answer;
    const ifNoneMatch = sent.get('if-none-match') ?? '';
    const accepting = { method: request.method, accepted: client.field('accept-encoding'), ifNoneMatch };
    try {
      return await compressed(answer, options.compress, accepting);
    } catch (cause) {
      // Nothing of it has left.
      if (request.signal.aborted) return new Response(null, { status: clientClosed });
      return this.fail(trip, 'OO_UPSTREAM_CLOSED', { route, cause });
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
    const { request, sent, copy, startedAt } = trip;
    const { route } = trip.pool;
    const { target } = member;
    const { settings } = route.pool;
    const begun = this.now();
    const responseMs = route.route.responseTimeoutMs ?? defaultResponseTimeoutMs;
    const tryMs = tryDeadline(settings.retry, startedAt, begun) - begun;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), Math.max(0, Math.min(responseMs, tryMs)));
    const limit = bodyLimit(request, route);
    sent.set('host', route.route.hostHeader === 'upstream' ? target.authority : trip.client.host);
    trip.tried.push(member);
    member.start(begun);
    const body = copy === null || limit.body === null ? limit.body : copy.through(limit.body);
    if (request.body === null) copy?.end(false);
    try {
      const response = await (this.options.fetch ?? fetch)(
        `${target.tls ? 'https' : 'http'}://${target.authority}${target.basePath}${trip.target}`,
        {
          method: request.method,
          headers: sent,
          body,
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

  private fail(exchange: Exchange, code: FailureCode, told: Told = {}): Response {
    const { route, cause, meant = false } = told;
    if (failures[code].status >= 500 && !meant)
      this.options.onFailure?.({ code, requestId: exchange.id, route: route?.route, cause });
    return failureResponse(exchange, code, told);
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

function trustedRange(text: string): Cidr {
  const range = parseCidr(text);
  if (typeof range === 'string') throw new TypeError(`trusted proxy ${range}`);
  return range;
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
