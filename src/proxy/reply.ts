import type { Context } from 'hono';
import { type FailureCode, failureBody, failures } from '../core/failure.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { Field } from '../core/option-cors.ts';
import type { ReplyStep } from '../core/option-guard.ts';
import type { CompiledRoute } from '../core/types.ts';
import { addCors } from './rewrite.ts';

/** One request on its way. */
export interface Exchange {
  readonly request: Request;
  readonly url: URL;
  readonly id: string;
  /** What the runtime gives with it. */
  readonly context: Context;
}

/** What an answer of ours says beside its code. */
export interface Told {
  readonly route?: CompiledRoute;
  readonly cause?: unknown;
  /** In place of the code's own words. */
  readonly detail?: string;
  readonly retryAfter?: number;
  readonly fields?: readonly Field[];
  /** It is what the route's owner wants: no failure. */
  readonly meant?: boolean;
}

/** The answer to a request that is not forwarded. */
export function failureResponse({ request, url, id }: Exchange, code: FailureCode, told: Told): Response {
  const { route, detail, retryAfter = 1, fields = [] } = told;
  const { status } = failures[code];
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
  if (status === 503 || status === 429) headers.set('retry-after', String(retryAfter));
  for (const [name, value] of fields) headers.append(name, value);
  if (route !== undefined && route.options !== null)
    addCors(headers, route.options, request.headers.get('origin') ?? '');
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}

/** What a guard answers in the upstream's place. */
export function guardResponse({ request }: Exchange, options: CompiledOptions, reply: ReplyStep): Response {
  const headers = new Headers();
  for (const [name, value] of reply.fields) headers.append(name, value);
  // As bytes: of a text runtimes would say that it is text/plain.
  const body = typeof reply.body === 'string' ? new TextEncoder().encode(reply.body) : reply.body;
  if (body !== null) headers.set('content-length', String(body.length));
  addCors(headers, options, request.headers.get('origin') ?? '');
  const sent = request.method === 'HEAD' ? null : (body as Uint8Array<ArrayBuffer> | null);
  return new Response(sent, { status: reply.status, headers });
}
