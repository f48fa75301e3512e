import { Hono } from 'hono';
import type { Cidr } from '../core/cidr.ts';
import { decide } from '../core/decide.ts';
import type { OptionProver } from '../core/option-compile.ts';
import { getRoute } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import { ProxyClient, schemeOf } from './client.ts';
import { type Exchange, type Keep, keepBy, requestIdOf } from './exchange.ts';
import { explainBriefly } from './explain-brief.ts';
import { isRefusedMethod, senderOf } from './fetch.ts';
import { Forwarder } from './forward.ts';
import { peerAddress, trustedRange } from './peer.ts';
import { ProxyPool } from './pool.ts';
import { proveOptions } from './prove-options.ts';
import { ProxyReplies, tell } from './reply.ts';
import type { OptionsRunner } from './route-options.ts';
import { statsOf } from './stats.ts';
import { proveHandlerOnly, supportOf } from './support.ts';
import { compileAll, type ProxyTable } from './table.ts';
import { checkBody, OptionTurn, type TurnParts } from './turn.ts';
import type { ProxyApp, ProxyExchange, ProxyExplanation, ProxyOptions, ProxyRoute, ProxyStats } from './types.ts';

/**
 * The portable transport: Request → decide → handler → pick → fetch → Response, on Web standards only.
 *
 * A target may be a list: policies, weights, priorities, hash, canaries, stops, retries on another target, ejection and breakers are as at the edge; each
 * program judges by what it sees itself. Without the edge's processes there are no probes, no limits, no sticky cookie and no `service://`
 * (refused), and a paused route answers 503 at once.
 *
 * What a runtime's `fetch` cannot do, this cannot: `h2c://` targets (refused), trailers, 1xx responses, a body in GET or HEAD
 * (refused), `insecureSkipVerify`, `connectTimeoutMs` and `idleTimeoutMs`: docs/runtimes.md. The edge has none of these limits.
 *
 * Routes' options (core/option-types.ts) do as at the edge, given `options: routeOptions`; what a runtime has nothing for is refused: docs/options.md, "In the
 * fetch handler". A route's `handler` needs nothing else.
 *
 * @throws TypeError for a route, an option or a trusted proxy that is refused; of routes, `cause` has the faults
 */
export function createProxy(options: ProxyOptions): ProxyApp {
  const proxy = new FetchProxy(options);
  const app = new Hono();
  app.all('*', (context) =>
    proxy.handle(
      context.req.raw,
      context.env,
      keepBy(() => context.executionCtx),
    ),
  );
  return {
    app,
    // Not by the app: it would find the one route that it has, for each request.
    fetch: (request, env, context) =>
      proxy.handle(
        request,
        env,
        keepBy(() => context),
      ),
    update: (routes) => proxy.update(routes),
    explain: (request, env) => proxy.explain(request, env),
    stats: () => proxy.stats(),
  };
}

class FetchProxy {
  private table: ProxyTable;
  private readonly options: ProxyOptions;
  private readonly trusted: readonly Cidr[];
  private readonly prove: OptionProver;
  private readonly runner: OptionsRunner | null;
  private readonly replies: ProxyReplies;
  private readonly forwarder: Forwarder;
  private readonly turns: TurnParts;
  /** By route id, from a route's first request on. */
  private readonly pools = new Map<string, ProxyPool>();
  private requests = 0;
  private inFlight = 0;

  constructor(options: ProxyOptions) {
    proveOptions(options);
    this.options = options;
    this.trusted = (options.trustedProxies ?? []).map(trustedRange);
    const given = options.fetch;
    const parts = {
      fetch: given ?? ((input, init) => fetch(input, init)),
      send: senderOf(given),
      now: this.now,
      random: this.random,
    };
    const support = supportOf(options);
    this.prove = support === null ? proveHandlerOnly : support.prove;
    this.runner = support === null ? null : support.start({ ...parts, verifyPassword: options.verifyPassword });
    this.replies = new ProxyReplies(options.hooks ?? {}, this.runner, (route) => this.asGiven(route));
    this.forwarder = new Forwarder({ ...parts, replies: this.replies, runner: this.runner });
    this.turns = { replies: this.replies, forwarder: this.forwarder, runner: this.runner, now: this.now };
    this.table = this.compile(options.routes, 1);
  }

  private compile(routes: Iterable<ProxyRoute>, revision: number): ProxyTable {
    return compileAll(routes, revision, this.prove, this.runner, this.options.handlers);
  }

  private asGiven({ id, route }: CompiledRoute): ProxyRoute {
    return this.table.embedded.get(id)?.route ?? route;
  }

  update(routes: Iterable<ProxyRoute>): void {
    this.table = this.compile(routes, this.table.routes.revision + 1);
    for (const id of this.pools.keys()) if (getRoute(this.table.routes, id) === undefined) this.pools.delete(id);
    this.runner?.onChange((id) => getRoute(this.table.routes, id)?.options?.rateLimit ?? null);
  }

  /** Never rejects. */
  async handle(request: Request, env: unknown, keep: Keep): Promise<Response> {
    const arrivedAt = this.now();
    const id = requestIdOf(arrivedAt, this.random());
    const url = urlOf(request);
    const facts = { request, url, id, env, keep, arrivedAt };
    const exchange: Exchange = { ...facts, route: '', target: '', attempts: 0, sent: null };
    this.requests++;
    this.inFlight++;
    let response: Response;
    try {
      response = await this.answer(exchange);
    } catch (cause) {
      const route = exchange.route === '' ? undefined : getRoute(this.table.routes, exchange.route);
      response = this.replies.fail(exchange, 'OO_INTERNAL', { route, cause });
    }
    this.inFlight--;
    const { onResponse } = this.options.hooks ?? {};
    if (onResponse !== undefined) {
      const { route, target, attempts } = exchange;
      const durationMs = this.now() - arrivedAt;
      const told = { request, requestId: id, route, target, attempts, status: response.status, durationMs };
      tell<ProxyExchange>(onResponse, told);
    }
    return response;
  }

  private async answer(exchange: Exchange): Promise<Response> {
    const { request, url } = exchange;
    const { replies, forwarder } = this;
    if (isRefusedMethod(request.method)) return replies.fail(exchange, 'OO_METHOD_REFUSED');
    // What an update puts in its place while this one is asked is for those that come later.
    const { routes, embedded } = this.table;
    const decision = decide(routes, schemeOf(url), url.host, url.pathname);
    if (decision.kind === 'reply') return replies.fail(exchange, decision.code);
    const { route } = decision;
    exchange.route = route.id;
    const pool = this.poolOf(route);
    pool.requests++;
    const client = this.clientOf(exchange);
    if (route.options !== null) {
      const turn = new OptionTurn(this.turns, exchange, pool, route.options, client);
      return turn.take(embedded.get(route.id)?.handler);
    }
    const refused = checkBody(replies, exchange, pool);
    if (refused !== undefined) return refused;
    const outgoing = { exchange, client, changes: null, signal: request.signal, exceeded: null };
    return forwarder.forward(outgoing, pool);
  }

  private clientOf({ request, url, id, env }: Pick<Exchange, 'request' | 'url' | 'id' | 'env'>): ProxyClient {
    const peer = (this.options.clientIp ?? peerAddress)(request, env) ?? '';
    return new ProxyClient(request, url, id, peer, this.trusted);
  }

  private poolOf(route: CompiledRoute): ProxyPool {
    const before = this.pools.get(route.id);
    if (before?.route === route) return before;
    const { random } = this;
    const pool = new ProxyPool(route, before, this.now(), { random, onHealth: this.options.hooks?.onHealth });
    // A request that began before an update may come here after it.
    const isCurrent = getRoute(this.table.routes, route.id) === route;
    if (isCurrent) this.pools.set(route.id, pool);
    if (before !== undefined) (isCurrent ? before : pool).heir = isCurrent ? pool : before;
    return pool;
  }

  explain(request: Request, env: unknown): ProxyExplanation {
    const client = this.clientOf({ request, url: urlOf(request), id: '', env });
    const { routes } = this.table;
    const poolOf = (route: CompiledRoute) => this.poolOf(route);
    const { runner } = this;
    if (runner === null) return explainBriefly(routes, client, poolOf, this.now());
    return runner.explain(routes, client, poolOf, runner, this.now());
  }

  stats(): ProxyStats {
    const { requests, inFlight } = this;
    const now = this.now();
    const used = [...this.pools].filter(([, pool]) => pool.requests > 0);
    const routes = Object.fromEntries(used.map(([id, pool]) => [id, statsOf(pool, now)]));
    return { requests, inFlight, failures: { ...this.replies.counts }, routes };
  }

  private readonly now = (): number => (this.options.now ?? Date.now)();

  private readonly random = (): number => (this.options.random ?? Math.random)();
}

/** Of a Host that is none Bun makes a path alone: then the host is none, either. @throws TypeError for what is no request */
function urlOf({ url }: Request): URL {
  if (typeof url !== 'string') throw new TypeError('the proxy was given no Request; expected new Request(url)');
  try {
    return new URL(url);
  } catch {
    return new URL('http://!/');
  }
}
