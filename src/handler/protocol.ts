import type { HandlerFault } from '../core/handler-proof.ts';

/*
 * What the main process, the workers and a handler's process say to each other.
 *
 * Main process and handler: messages. Worker and handler: HTTP/1.1 over unix sockets, both ways: a client's request to the handler's socket, and what
 * `next` sends to the worker's. Both carry one field of ours, whose name nobody else knows: it is made anew with each start of oo.
 */

/** Names the role of a child process. */
export const handlerVariable = 'OO_HANDLER';

/** What a handler's process is told when it starts. */
export interface HandlerStart {
  readonly type: 'start';
  readonly routeId: string;
  /** For people; '' where it is not known. */
  readonly file: string;
  readonly source: string;
  readonly timeoutMs: number;
  /** Where it listens. */
  readonly socketPath: string;
  /** Where the workers' sockets are. */
  readonly directory: string;
  /** The name of our field. */
  readonly field: string;
}

/** From the main process to a handler's. */
export type ToHandler =
  | HandlerStart
  | { readonly type: 'ping' }
  /** Takes no new requests, lets running ones end, and exits. */
  | { readonly type: 'drain'; readonly timeoutMs: number };

/** From a handler's process to the main one. */
export type FromHandler =
  | { readonly type: 'listening' }
  | { readonly type: 'failed'; readonly fault: HandlerFault }
  | { readonly type: 'pong' }
  | { readonly type: 'log'; readonly line: string };

/** What has come from a handler's process. Its handler may send there, too: such things are none. @returns undefined for what is none */
export function readFromHandler(message: unknown): FromHandler | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, line, fault } = message as { type?: unknown; line?: unknown; fault?: Partial<HandlerFault> | null };
  if (type === 'listening' || type === 'pong') return { type };
  if (type === 'log') return typeof line === 'string' ? { type, line } : undefined;
  return type === 'failed' && typeof fault?.message === 'string' ? (message as FromHandler) : undefined;
}

/** What our field says of a request, to the handler; what `next` sends gives it back as it is. */
export interface HandlerTicket {
  /** The number of the exchange that waits, in its worker. */
  readonly number: number;
  /** The name of that worker's socket. */
  readonly worker: string;
  readonly scheme: 'http' | 'https';
  /** The client's address; '' if it is not known. */
  readonly clientIp: string;
  readonly requestId: string;
}

export function writeTicket({ number, worker, scheme, clientIp, requestId }: HandlerTicket): string {
  return `${number} ${worker} ${scheme} ${clientIp || '-'} ${requestId}`;
}

/** @returns undefined for what is none */
export function readTicket(text: string): HandlerTicket | undefined {
  const [number, worker, scheme, clientIp, requestId] = text.split(' ');
  if (requestId === undefined || (scheme !== 'http' && scheme !== 'https')) return undefined;
  return { number: Number(number), worker, scheme, clientIp: clientIp === '-' ? '' : clientIp, requestId };
}
