import type { Handler, HandlerContext } from '../core/handler-types.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { Field } from '../core/option-cors.ts';
import type { ProxyClient } from './client.ts';
import type { Exchange } from './exchange.ts';
import { bodyLimit, bodyOf, isUnsendable } from './fetch.ts';
import type { Forwarder } from './forward.ts';
import { discard, type HandlerMiss, runHandler } from './handler.ts';
import type { ProxyPool } from './pool.ts';
import { leftResponse, type ProxyReplies } from './reply.ts';
import type { OptionsRunner } from './route-options.ts';

export interface TurnParts {
  readonly replies: ProxyReplies;
  readonly forwarder: Forwarder;
  /** Null where routes have handlers at the most. */
  readonly runner: OptionsRunner | null;
  /** Epoch ms. */
  readonly now: () => number;
}

/** One request of a route that does more than forward. */
export class OptionTurn {
  private readonly parts: TurnParts;
  private readonly exchange: Exchange;
  private readonly pool: ProxyPool;
  private readonly options: CompiledOptions;
  private readonly client: ProxyClient;
  private copied: readonly Field[] = [];
  /** What the handler goes on with after its response. */
  private readonly kept: Promise<unknown>[] = [];

  constructor(parts: TurnParts, exchange: Exchange, pool: ProxyPool, options: CompiledOptions, client: ProxyClient) {
    this.parts = parts;
    this.exchange = exchange;
    this.pool = pool;
    this.options = options;
    this.client = client;
  }

  /** Past the guards, through the handler if there is one, to a target and back. @param handler the route's, of this program */
  async take(handler: Handler | undefined): Promise<Response> {
    const { exchange } = this;
    const refused = (await this.meet()) ?? checkBody(this.parts.replies, exchange, this.pool);
    if (refused !== undefined) return refused;
    if (handler !== undefined) return this.handle(handler);
    const answer = await this.forward(this.client, exchange.request.signal, null);
    return exchange.target === '' ? answer : this.change(answer);
  }

  /** @returns the answer of a guard that does not let it in */
  private async meet(): Promise<Response | undefined> {
    const { parts, exchange, options, client } = this;
    const { route } = this.pool;
    if (parts.runner === null || options.guards.length === 0) return undefined;
    const said = await parts.runner.meet(route, options, client);
    if (exchange.request.signal.aborted) return leftResponse();
    if (said.kind === 'pass') {
      this.copied = said.copied;
      return undefined;
    }
    if (said.kind === 'reply') return parts.runner.reply(exchange, options, said);
    const { code, detail, retryAfter, fields, cause } = said;
    const meant = cause === undefined;
    return parts.replies.fail(exchange, code, {
      ...{ route, cause, detail, fields, meant },
      retryAfter: retryAfter || undefined,
    });
  }

  private forward(client: ProxyClient, signal: AbortSignal, exceeded: (() => boolean) | null): Promise<Response> {
    const { parts, exchange, pool, options, copied } = this;
    const { runner } = parts;
    const target = client.path + client.query;
    const rewritten = runner === null ? { target, stripped: '' } : runner.targetOf(options, client);
    if (rewritten === undefined)
      return Promise.resolve(parts.replies.fail(exchange, 'OO_BAD_PATH', { route: pool.route }));
    const changes = { options, copied, ...rewritten };
    return parts.forwarder.forward({ exchange, client, changes, signal, exceeded }, pool);
  }

  private async handle(handler: Handler): Promise<Response> {
    const { parts, exchange, client, pool } = this;
    const { request } = exchange;
    const { route } = pool;
    const stop = new AbortController();
    const { signal } = stop;
    request.signal.addEventListener('abort', () => stop.abort(request.signal.reason), { once: true });
    if (request.signal.aborted) return leftResponse();
    // It may read the body in the upstream's place: the limit is the route's.
    const { body, exceeded } = bodyLimit(request, route);
    const own = ownRequest(request, body, signal);
    const given: Response[] = [];
    const outcome = await runHandler({
      ...{ handler, request: own, signal, now: parts.now, context: this.context() },
      timeoutMs: this.options.handler!.timeoutMs,
      stop: (reason) => stop.abort(reason),
      forward: async (sent, either) => {
        const response = await this.forward(client.as(sent, sent === own), either, exceeded);
        given.push(response);
        return response;
      },
    });
    if (given.some((response) => response !== outcome)) this.endUnread(given);
    const answered = !('kind' in outcome);
    if (answered && !exceeded()) return this.change(outcome);
    if (answered) void discard(outcome);
    if (request.signal.aborted) return leftResponse();
    if (exceeded()) return parts.replies.fail(exchange, 'OO_BODY_TOO_LARGE', { route });
    const { kind, cause } = outcome as HandlerMiss;
    const code = kind === 'late' ? 'OO_HANDLER_TIMEOUT' : 'OO_HANDLER_FAILED';
    return parts.replies.fail(exchange, code, { route, cause });
  }

  /** Other runtimes see by themselves that nobody reads a response any more; Node would hold its connection for ever. */
  private endUnread(given: readonly Response[]): void {
    const { outgoing } = (this.exchange.env ?? {}) as { outgoing?: { once?(event: string, done: () => void): void } };
    outgoing?.once?.('close', () => void Promise.allSettled(this.kept).then(() => given.forEach(discard)));
  }

  private context(): HandlerContext {
    const { exchange, client, pool, kept } = this;
    return {
      ...{ route: pool.route.id, requestId: exchange.id, clientIp: client.address, env: exchange.env },
      waitUntil(promise) {
        // Where nobody waits for it, its failure must not end the program; and it may be no promise at all.
        const done = Promise.resolve(promise);
        done.catch(() => {});
        exchange.keep(done);
        kept.push(done);
      },
    };
  }

  /** What the route's options make of an answer: an upstream's, or a handler's. */
  private async change(answer: Response): Promise<Response> {
    const { parts, exchange, options, client } = this;
    const { responseHeaders, cors, compress } = options;
    const { runner } = parts;
    // A WebSocket of a Worker's is no message any more.
    if (runner === null || answer.status === 101) return answer;
    if (responseHeaders === null && cors === null && compress === null) return answer;
    const { route } = this.pool;
    const { status, statusText, headers } = answer;
    // Those of a handler's own may be frozen.
    const open = options.handler === null ? answer : new Response(answer.body, { status, statusText, headers });
    const ifNoneMatch = (exchange.sent ?? exchange.request.headers).get('if-none-match') ?? '';
    try {
      return await runner.change(open, options, client, route.id, ifNoneMatch);
    } catch (cause) {
      // Nothing of it has left.
      if (exchange.request.signal.aborted) return leftResponse();
      return parts.replies.fail(exchange, 'OO_UPSTREAM_CLOSED', { route, cause });
    }
  }
}

/** @returns the answer to a body that can't be sent on */
export function checkBody(replies: ProxyReplies, exchange: Exchange, { route }: ProxyPool): Response | undefined {
  const { request } = exchange;
  const length = Number(request.headers.get('content-length') ?? 0);
  if (length > (route.route.maxBodyBytes ?? length)) return replies.fail(exchange, 'OO_BODY_TOO_LARGE', { route });
  if (bodyOf(request) !== null && (request.bodyUsed || request.body!.locked)) {
    const cause = new TypeError('the request body is read already; give the proxy request.clone(), or read that');
    return replies.fail(exchange, 'OO_INTERNAL', { route, cause });
  }
  // Bun's server takes a length that is said twice, and its client does not.
  if (!(length >= 0)) return replies.fail(exchange, 'OO_BAD_FRAMING', { route });
  // fetch has no body for GET and HEAD; to send them on without the one they came with would change what they mean.
  return isUnsendable(request) ? replies.fail(exchange, 'OO_BAD_FRAMING', { route }) : undefined;
}

/** The request as its handler gets it: with fields that can be changed, and a signal that says when it is too late. */
function ownRequest(request: Request, body: ReadableStream | null, signal: AbortSignal): Request {
  const { method, headers } = request;
  const init = { method, headers, body, signal, redirect: 'manual', duplex: 'half' } as RequestInit;
  // What Workers know beside the message is only copied from a whole request.
  return new Request('cf' in request ? request : request.url, init);
}
