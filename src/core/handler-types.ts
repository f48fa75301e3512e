/**
 * A route's own program: a fetch handler around forwarding. The same file runs in `oo serve` (in a process of its own), and inside of Node, Deno, Bun and Workers.
 *
 * ```js
 * export default async function auth(request, next, context) {
 *   if (request.headers.get('x-key') !== 'secret') return new Response('no\n', { status: 401 });
 *   const response = await next();
 *   response.headers.set('x-checked-by', context.route);
 *   return response;
 * }
 * ```
 */
export type Handler = (request: Request, next: Next, context: HandlerContext) => Response | Promise<Response>;

/**
 * What the route does without a handler: forwards, by its pool, with its retries. Its response may be changed: its headers are not frozen.
 * Once a request; a second call with a body that is used up rejects. Without a target, and where forwarding fails, it resolves to that failure's answer.
 * @param request default: the handler's own, as it is
 */
export type Next = (request?: Request) => Promise<Response>;

/** What a handler is told beside its request. */
export interface HandlerContext {
  /** The route's id. */
  readonly route: string;
  readonly requestId: string;
  /** The client's address, behind a trusted proxy what that says; '' where the runtime does not tell. */
  readonly clientIp: string;
  /** Embedded: what the runtime passed to `fetch` (a Worker's bindings). In `oo serve`: an empty object. */
  readonly env: unknown;
  /** Keeps the program alive for what goes on after the response. */
  waitUntil(promise: Promise<unknown>): void;
}

/** A route's `handler` as it is stored. */
export interface HandlerOptions {
  /** Where it was read from, for people: `./auth.mjs`. Relative to the file that names it. */
  readonly file?: string;
  /** The text of an ES module whose default export is a `Handler`. `oo route save` and `oo apply` read it from `file`. At most 256 KiB. */
  readonly source?: string;
  /** How long it may take by itself, without what `next` takes, up to its response. Default 10,000. */
  readonly timeoutMs?: number;
  /** What its process may use beside what Node itself takes, MiB, 16 to 4,096. Default 128. Not held in embedded form. */
  readonly memoryMb?: number;
}
