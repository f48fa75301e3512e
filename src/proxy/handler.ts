import type { Handler, HandlerContext, Next } from '../core/handler-types.ts';
import { toClient } from './fetch.ts';

/** A handler that is asked for one response. */
export interface HandlerCall {
  readonly handler: Handler;
  /** As the handler gets it; its body may be counted. */
  readonly request: Request;
  /** Of what `next` sends as well. */
  readonly signal: AbortSignal;
  readonly context: HandlerContext;
  /** What it may take by itself. */
  readonly timeoutMs: number;
  readonly now: () => number;
  /** Takes back what is under way for it. */
  readonly stop: (reason: unknown) => void;
  /** Forwards. Never rejects. */
  readonly forward: (request: Request, signal: AbortSignal) => Promise<Response>;
}

/** How a handler without a response went; `left`: the client has gone. */
export interface HandlerMiss {
  readonly kind: 'failed' | 'late' | 'left';
  readonly cause: unknown;
}

/**
 * Runs a handler, up to its response. Never rejects. What it answers after its time is thrown away, and a loop without an end
 * can't be ended: it has the program's own thread.
 */
export function runHandler(call: HandlerCall): Promise<Response | HandlerMiss> {
  const { handler, request, signal, context, timeoutMs } = call;
  return new Promise((resolve) => {
    let settled = false;
    let gone: unknown;
    const settle = (outcome: Response | HandlerMiss) => {
      settled = true;
      time.end();
      signal.removeEventListener('abort', leave);
      resolve(outcome);
    };
    const leave = () => settle({ kind: 'left', cause: signal.reason });
    const time = new OwnTime(timeoutMs, call.now, () => {
      gone = new DOMException(`the handler has taken more than ${timeoutMs} ms by itself`, 'TimeoutError');
      settle({ kind: 'late', cause: gone });
      call.stop(gone);
    });
    const underWay = new Set<Request>();
    const pass: Next = async (sent = request) => {
      if (gone !== undefined) throw gone;
      if (sent.body !== null && (underWay.has(sent) || sent.bodyUsed || sent.body.locked)) throw usedUp();
      underWay.add(sent);
      time.pause();
      try {
        return await forwardOnce(call, sent);
      } finally {
        underWay.delete(sent);
        time.resume();
      }
    };
    const next: Next = (sent) => {
      const response = pass(sent);
      // A handler need not wait for it; that its client leaves meanwhile must not end the program.
      response.catch(() => {});
      return response;
    };
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    time.resume();
    invoke(handler, request, next, context).then(
      (result) => {
        if (settled) void discard(result);
        else settle(prove(result, request.method));
      },
      (cause) => {
        if (!settled) settle({ kind: 'failed', cause });
      },
    );
  });
}

/** What it throws at once rejects as well. */
async function invoke(handler: Handler, request: Request, next: Next, context: HandlerContext): Promise<unknown> {
  return handler(request, next, context);
}

function usedUp(): TypeError {
  return new TypeError('next: the body of its request is used up; give next a request with another one');
}

async function forwardOnce({ request, signal, forward }: HandlerCall, sent: Request): Promise<Response> {
  const either = sent === request ? signal : AbortSignal.any([signal, sent.signal]);
  const response = await forward(sent, either);
  if (either.aborted) throw either.reason;
  return response;
}

/** What a handler takes by itself, without what it waits for `next`. */
class OwnTime {
  private left: number;
  private since = 0;
  /** 1 while nothing but the handler is at it. */
  private running = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private ended = false;
  private readonly now: () => number;
  private readonly expire: () => void;

  constructor(leftMs: number, now: () => number, expire: () => void) {
    this.left = leftMs;
    this.now = now;
    this.expire = expire;
  }

  resume(): void {
    if (this.ended || ++this.running < 1) return;
    this.since = this.now();
    this.timer = setTimeout(this.expire, Math.max(0, this.left));
  }

  pause(): void {
    if (this.ended || --this.running !== 0) return;
    clearTimeout(this.timer);
    this.left -= this.now() - this.since;
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
  }
}

/** @returns its response as the client may get it */
function prove(result: unknown, method: string): Response | HandlerMiss {
  try {
    return proven(result, method);
  } catch (cause) {
    return { kind: 'failed', cause };
  }
}

function proven(result: unknown, method: string): Response | HandlerMiss {
  if (!isResponse(result)) return failed(`the handler returned ${nameOf(result)}; expected a Response`);
  if (result.status === 0) return failed('the handler returned Response.error()');
  if (result.bodyUsed || result.body?.locked)
    return failed('the handler returned a Response whose body is used up, or being read');
  // What it has fetched by itself is as runtimes leave it: decoded, with the fields of before.
  if (result.url !== '') return toClient(result, method);
  const { status, statusText, headers, body } = result;
  const isDropped = method === 'HEAD' && body !== null;
  // Servers take none but the runtime's own.
  if (result instanceof Response && !isDropped) return result;
  if (isDropped) void discard(result);
  return new Response(isDropped ? null : body, { status, statusText, headers: [...headers] });
}

function failed(message: string): HandlerMiss {
  return { kind: 'failed', cause: new TypeError(message) };
}

/** Also one of another realm, as test runners have them. */
function isResponse(value: unknown): value is Response {
  return value instanceof Response || Object.prototype.toString.call(value) === '[object Response]';
}

function nameOf(value: unknown): string {
  return value === undefined ? 'nothing' : Object.prototype.toString.call(value);
}

/** Nobody waits for it any more: whoever makes its body need not go on. */
export async function discard(result: unknown): Promise<void> {
  try {
    if (isResponse(result) && !result.bodyUsed) await result.body?.cancel();
  } catch {
    // It is being read, or is no stream at all.
  }
}
