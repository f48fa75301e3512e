import type { FailureCode } from '../core/failure.ts';
import { bodyOfFailure, type Failure, portable } from '../core/failure-body.ts';
import type { Field } from '../core/option-cors.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { Exchange } from './exchange.ts';
import type { OptionsRunner } from './route-options.ts';
import type { ProxyFailure, ProxyHooks, ProxyRoute } from './types.ts';

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

/** Answers of the proxy's own; counts them, and tells of failures. */
export class ProxyReplies {
  readonly counts: Partial<Record<FailureCode, number>> = {};
  private readonly hooks: ProxyHooks;
  private readonly runner: OptionsRunner | null;
  private readonly asGiven: (route: CompiledRoute) => ProxyRoute;

  /** @param asGiven a route as the program gave it */
  constructor(hooks: ProxyHooks, runner: OptionsRunner | null, asGiven: (route: CompiledRoute) => ProxyRoute) {
    this.hooks = hooks;
    this.runner = runner;
    this.asGiven = asGiven;
  }

  /** The answer to a request that is not forwarded, or in vain. */
  fail(exchange: Exchange, code: FailureCode, told: Told = {}): Response {
    const { route, cause, meant = false } = told;
    const { onFailure } = this.hooks;
    exchange.target = '';
    this.counts[code] = (this.counts[code] ?? 0) + 1;
    const failure = failureOf(code, this.runner);
    if (failure.status >= 500 && !meant && onFailure !== undefined) {
      const given = route === undefined ? undefined : this.asGiven(route);
      tell<ProxyFailure>(onFailure, { code, requestId: exchange.id, route: given, cause });
    }
    const response = failureResponse(exchange, code, failure, told);
    if (route !== undefined && route.options !== null)
      this.runner?.addCors(response.headers, route.options, exchange.request.headers.get('origin') ?? '');
    return response;
  }
}

/** Tells a hook: whatever it throws is its own affair, also later. */
export function tell<T>(hook: (what: T) => unknown, what: T): void {
  try {
    const told = hook(what);
    if (told instanceof Promise) told.catch(() => {});
  } catch {
    // A log that fails must not fail requests.
  }
}

/** Options have failures of their own, which come with them. */
export function failureOf(code: FailureCode, runner: OptionsRunner | null): Failure {
  return (runner?.failures ?? (portable as unknown as Readonly<Record<FailureCode, Failure>>))[code];
}

function failureResponse({ request, url, id }: Exchange, code: FailureCode, failure: Failure, told: Told): Response {
  const { detail, retryAfter = 1, fields = [] } = told;
  const { status } = failure;
  const accept = request.headers.get('accept') ?? '';
  const { contentType, body } = bodyOfFailure(code, failure, {
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
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}

/** For a client that has left; nobody reads it. The status is nginx's word for that. */
export function leftResponse(): Response {
  return new Response(null, { status: 499 });
}
