import { failures } from '../core/failure.ts';
import { type CompiledOptions, compileOptions, type OptionProver } from '../core/option-compile.ts';
import type { ReplyStep } from '../core/option-guard.ts';
import type { CompiledRateLimit } from '../core/option-rate-limit.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { ProxyClient } from './client.ts';
import { compressed, hasEncoder } from './compress.ts';
import type { Exchange } from './exchange.ts';
import { explainRequest } from './explain.ts';
import type { Send } from './fetch.ts';
import { type GuardAnswer, type LetIn, ProxyGuards } from './guards.ts';
import { type Copied, type MirrorCopy, ProxyMirrors } from './mirror.ts';
import { runtimeVerify } from './passwords.ts';
import { addCors, rewriteRequest, rewriteResponse, targetOf } from './rewrite.ts';
import { unknownField } from './route-fields.ts';
import type { RouteOptionsSupport, VerifyPassword } from './types.ts';

/** What `routeOptions` is to createProxy. No other file imports this one for more than its types: it brings all options along. */
export interface OptionsSupport extends RouteOptionsSupport {
  readonly prove: OptionProver;
  start(given: OptionsGiven): OptionsRunner;
}

/** What options need of the program that they run in. */
export interface OptionsGiven {
  readonly fetch: typeof fetch;
  readonly send: Send;
  /** Default: the runtime's own scrypt. */
  readonly verifyPassword: VerifyPassword | undefined;
  /** Epoch ms. */
  readonly now: () => number;
  readonly random: () => number;
}

const noScrypt =
  'this runtime has no scrypt; give createProxy verifyPassword, or run it where there is node:crypto: Node 22 or later, Bun, Deno, Workers with nodejs_compat';
const noGzip = 'CompressionStream makes gzip only; put gzip into compress.codings, or use the edge (oo serve)';
const noEncoder = 'this runtime has no CompressionStream; leave compress out, or use the edge (oo serve)';

/** Does what routes say beside where to forward to, for one proxy. */
export class OptionsRunner {
  readonly explain = explainRequest;
  readonly failures = failures;
  readonly addCors = addCors;
  readonly targetOf = targetOf;
  readonly unknownField = unknownField;
  readonly rewriteRequest = rewriteRequest;
  private readonly guards: ProxyGuards;
  private readonly mirrors: ProxyMirrors;
  private readonly random: () => number;

  constructor({ fetch, send, verifyPassword, now, random }: OptionsGiven) {
    this.guards = new ProxyGuards(verifyPassword ?? runtimeVerify(), fetch, now);
    this.mirrors = new ProxyMirrors(send);
    this.random = random;
  }

  /**
   * What can't be done must not be left undone: whoever asks for a password relies on it.
   * @returns why this runtime can't do what the route says; '' if it can
   */
  problemOf({ basicAuth, compress }: CompiledOptions): string {
    if (basicAuth !== null && this.guards.passwords === null) return `basicAuth: ${noScrypt}`;
    if (compress === null) return '';
    if (!hasEncoder()) return `compress: ${noEncoder}`;
    return compress.codings.includes('gzip') ? '' : `compress without gzip: ${noGzip}`;
  }

  /** Leads a request past its route's guards. */
  meet(route: CompiledRoute, options: CompiledOptions, client: ProxyClient): Promise<LetIn | GuardAnswer> {
    return this.guards.meet(route, options, client);
  }

  /** What a guard answers in the upstream's place. */
  reply({ request }: Exchange, options: CompiledOptions, reply: ReplyStep): Response {
    const headers = new Headers();
    for (const [name, value] of reply.fields) headers.append(name, value);
    // As bytes: of a text runtimes would say that it is text/plain.
    const body = typeof reply.body === 'string' ? new TextEncoder().encode(reply.body) : reply.body;
    if (body !== null) headers.set('content-length', String(body.length));
    addCors(headers, options, request.headers.get('origin') ?? '');
    const sent = request.method === 'HEAD' ? null : (body as Uint8Array<ArrayBuffer> | null);
    return new Response(sent, { status: reply.status, headers });
  }

  /** A copy of the request for the route's mirror; null for none. */
  copy(copied: Copied): MirrorCopy | null {
    return this.mirrors.begin(copied, this.random());
  }

  /**
   * What the route's options make of an answer. @param ifNoneMatch as the upstream got it; '' for none
   * @returns rejects where its body breaks off before anything of it has left
   */
  async change(
    answer: Response,
    options: CompiledOptions,
    client: ProxyClient,
    route: string,
    ifNoneMatch: string,
  ): Promise<Response> {
    rewriteResponse(answer.headers, options, client.field('origin'), client.fill(route));
    if (options.compress === null) return answer;
    const accepting = { method: client.method, accepted: client.field('accept-encoding'), ifNoneMatch };
    return compressed(answer, options.compress, accepting);
  }

  /** The table has changed. @param rateOf by a route's id; null for none */
  onChange(rateOf: (id: string) => CompiledRateLimit | null): void {
    this.guards.onChange(rateOf);
  }
}

const support: OptionsSupport = {
  kind: 'route options',
  prove: compileOptions,
  start: (given) => new OptionsRunner(given),
};

/** All that routes may have beside a target: guards, rewriting, compression, mirrors. For `ProxyOptions.options`. */
export const routeOptions: RouteOptionsSupport = support;
