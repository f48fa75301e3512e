import { type ExecutionContext, Hono } from 'hono';
import { type Cidr, isWithin, parseCidr } from './core/cidr.ts';
import { decide } from './core/decide.ts';
import { type FailureCode, failureBody, failures } from './core/failure.ts';
import { forwardedFields, keptFields, requestPlan, responsePlan } from './core/headers.ts';
import { normalizeAuthority } from './core/host.ts';
import { isIdempotent, mayRetry } from './core/retry.ts';
import { compile, type RouteTable, routesOf } from './core/table.ts';
import type { CompiledRoute, Route, Scheme } from './core/types.ts';

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
  /** Epoch ms; for request ids. Default: the runtime's clock. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1; for request ids. Default: the runtime's. */
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
 * The portable transport: Request → decide → fetch → Response, on Web standards only.
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

class FetchProxy {
  private table: RouteTable;
  private readonly options: ProxyOptions;
  private readonly trusted: readonly Cidr[];

  constructor(options: ProxyOptions) {
    this.options = options;
    this.trusted = (options.trustedProxies ?? []).map(trustedRange);
    this.table = compileAll(options.routes, 1);
  }

  update(routes: Iterable<Route>): void {
    this.table = compileAll(routes, this.table.revision + 1);
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
    return this.forward(exchange, decision.route, this.requestHeaders(exchange, decision.route, env));
  }

  private async forward(exchange: Exchange, route: CompiledRoute, headers: Headers): Promise<Response> {
    const { request } = exchange;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.attempt(exchange, route, headers);
      if (outcome instanceof Response) return outcome;
      const { code, cause } = outcome;
      // A fetch that failed may have sent anything, unless it says that it could not connect. Whether its connection was reused, it never says.
      const sentBytes = code !== 'OO_CONNECT_FAILED';
      const replayable = request.body === null || !(request.bodyUsed || request.body.locked);
      const idempotent = isIdempotent(request.method);
      const canRetry = code === 'OO_CONNECT_FAILED' || code === 'OO_UPSTREAM_CLOSED';
      const last = { attempt, sentBytes, reused: true, idempotent, replayable, responseStarted: false };
      if (!canRetry || !replayable || !mayRetry(last)) return this.fail(exchange, code, route, cause);
    }
  }

  /** One fetch, up to the response's head. */
  private async attempt(exchange: Exchange, route: CompiledRoute, headers: Headers) {
    const { request, url } = exchange;
    const { target } = route.pool.targets[0];
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), route.route.responseTimeoutMs ?? defaultResponseTimeoutMs);
    const limit = bodyLimit(request, route);
    try {
      const response = await (this.options.fetch ?? fetch)(
        `${target.tls ? 'https' : 'http'}://${target.authority}${target.basePath}${url.pathname}${url.search}`,
        {
          method: request.method,
          headers,
          body: limit.body,
          redirect: 'manual',
          signal: AbortSignal.any([request.signal, late.signal]),
          ...fetchExtras,
        },
      );
      return toClient(response, request.method);
    } catch (cause) {
      if (request.signal.aborted) return new Response(null, { status: clientClosed });
      if (limit.exceeded()) return { code: 'OO_BODY_TOO_LARGE' as const, cause };
      if (late.signal.aborted) return { code: 'OO_UPSTREAM_TIMEOUT' as const, cause };
      return { code: classify(cause), cause };
    } finally {
      clearTimeout(timer);
    }
  }

  private requestHeaders({ request, url }: Exchange, route: CompiledRoute, env: unknown): Headers {
    const clientIp = (this.options.clientIp ?? peerAddress)(request, env) ?? '';
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
    headers.set('host', route.route.hostHeader === 'upstream' ? route.pool.targets[0].target.authority : host);
    // What the runtime decodes must not be encoded first: it would cost time, and the client gets it plain in any case.
    if (decodes) headers.set('accept-encoding', 'identity');
    return headers;
  }

  private fail({ request, url, id }: Exchange, code: FailureCode, route?: CompiledRoute, cause?: unknown): Response {
    const { status } = failures[code];
    if (status >= 500) this.options.onFailure?.({ code, requestId: id, route: route?.route, cause });
    const accept = request.headers.get('accept') ?? '';
    const { contentType, body } = failureBody(code, { accept, requestId: id, host: url.host, path: url.pathname });
    const headers = new Headers({
      'content-type': contentType,
      'cache-control': 'no-store',
      'x-request-id': id,
      'x-oo-code': code,
    });
    if (status === 405) headers.set('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
    if (status === 503) headers.set('retry-after', '1');
    return new Response(request.method === 'HEAD' ? null : body, { status, headers });
  }

  private requestId(): string {
    const now = this.options.now ?? Date.now;
    const random = this.options.random ?? Math.random;
    return `${now().toString(36)}${Math.floor(random() * 2 ** 40)
      .toString(36)
      .padStart(8, '0')}`;
  }
}

// nginx's word for a client that left; nobody reads it.
const clientClosed = 499;

// Bun leaves a coded body as it is, if told so; the others decode it, and still keep Content-Encoding and the old Content-Length.
const decodes = !('Bun' in globalThis);
const fetchExtras: object = { duplex: 'half', decompress: false };
const decodable = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd']);

const connectCodes =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ConnectionRefused|FailedToOpenSocket|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;
// Deno's only in words; and ports that fetch never connects to, by its standard.
const connectWords = /client error \(Connect\)|^bad port$/;

function compileAll(routes: Iterable<Route>, revision: number): RouteTable {
  const result = compile(routes, revision);
  if ('table' in result) {
    const [unreachable] = [...routesOf(result.table)].filter(({ pool }) => pool.targets[0].target.http2);
    if (unreachable === undefined) return result.table;
    const { id, route } = unreachable;
    throw new TypeError(
      `route '${id}' has the target '${route.target}': fetch can't speak h2c, use the edge (oo serve)`,
    );
  }
  throw new TypeError(result.faults.map((fault) => fault.message).join('; '), { cause: result.faults });
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

function toClient(response: Response, method: string): Response {
  const headers = keptFields(response.headers, responsePlan);
  headers.delete('transfer-encoding');
  if (decodes && isDecoded(headers.get('content-encoding'))) {
    headers.delete('content-encoding');
    headers.delete('content-length');
  }
  const { status, statusText } = response;
  const bodiless = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  return new Response(bodiless ? null : response.body, { status, statusText, headers });
}

/** Whether the runtime has taken these codings off. One that it does not know leaves the body as it came. */
function isDecoded(encoding: string | null): boolean {
  return (encoding ?? '-').split(',').every((coding) => decodable.has(coding.trim().toLowerCase()));
}

/** The request's body, cut with an error where it is longer than the route allows. */
function bodyLimit(request: Request, route: CompiledRoute): { body: ReadableStream | null; exceeded(): boolean } {
  const most = route.route.maxBodyBytes;
  if (most === undefined || request.body === null) return { body: request.body, exceeded: () => false };
  let bytes = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > most) controller.error(new RangeError(`the request body is over ${most} bytes`));
      else controller.enqueue(chunk);
    },
  });
  return { body: request.body.pipeThrough(count), exceeded: () => bytes > most };
}

/** Runtimes differ in how they say that they could not connect: by a code, in the error or its cause, or in words. */
function classify(
  error: unknown,
): 'OO_CONNECT_FAILED' | 'OO_CONNECT_TIMEOUT' | 'OO_UPSTREAM_CLOSED' | 'OO_BAD_RESPONSE' {
  const { code, message, cause } = error as {
    code?: unknown;
    message?: unknown;
    cause?: { code?: unknown; message?: unknown };
  };
  const known = String(cause?.code ?? code ?? '');
  if (known === 'UND_ERR_CONNECT_TIMEOUT') return 'OO_CONNECT_TIMEOUT';
  if (connectCodes.test(known) || connectWords.test(String(cause?.message ?? message))) return 'OO_CONNECT_FAILED';
  return known.startsWith('HPE_') || error instanceof RangeError ? 'OO_BAD_RESPONSE' : 'OO_UPSTREAM_CLOSED';
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
