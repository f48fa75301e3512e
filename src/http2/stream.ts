import type { FailureCode } from '../core/failure.ts';
import type { ReceiveWindow } from './flow.ts';
import type { RequestHead } from './request.ts';
import type { ResponseHead } from './response.ts';
import type { Trailers } from './trailers.ts';

/** Who ended a stream early: its peer, by RST_STREAM or GOAWAY. */
export const BY_PEER = 0;
/** We, because of what the peer did on it, or because it stalled; RST_STREAM is on its way. */
export const BY_US = 1;
/** It went with its connection. */
export const BY_CONNECTION = 2;

/**
 * One stream: its state, which the connection keeps, and what happens to it, which a subclass of the edge hears. The states of RFC 9113
 * §5.1 are `receiving` and `sending`: both is open, one is half-closed, none is closed. It is of use for one request.
 */
export abstract class Stream {
  id = 0;
  /** The peer has not ended it: DATA or trailers may come. */
  receiving = true;
  /** We have not ended it. */
  sending = true;
  /** Both have, or one has broken it off: nothing happens to it any more. */
  closed = false;

  // ---- the connection's own, for no one else to write
  /** What the peer lets us send; below 0 after it has lowered its settings (RFC 9113 §6.9.2). */
  sendWindow = 0;
  inbound: ReceiveWindow | null = null;
  /** Of the bytes held, those that do not count for the connection: see `lend`. */
  lent = 0;
  /** Bytes that must still come for Content-Length to be true; -1 where it says nothing. */
  expected = -1;
  /** Not all of its data could be sent. */
  waiting = false;
  queued = false;
  /** When the peer's windows stopped it, or 0; and what could be sent since. */
  stalledAt = 0;
  stalledBytes = 0;
  /** Where its last frame lies in the output, and in which. */
  frameAt = 0;
  frameRound = -1;

  /**
   * Data has come: buf[from,to), which is overwritten once this returns. `consume` says when it has been taken: only then the peer may
   * send more.
   * @param ended it was the last, and there are no trailers; the range may be empty then
   */
  abstract onData(buf: Uint8Array, from: number, to: number, ended: boolean): void;

  /** Trailers have come, which end what the peer sends. They hold until this returns. */
  abstract onTrailers(trailers: Trailers): void;

  /** More can be sent, after `sendData` did not take everything. */
  abstract onWritable(): void;

  /**
   * The stream has ended before both sides were done with it. Called once at most, and not for what `reset` was asked to do.
   * @param code RFC 9113 §7; REFUSED_STREAM says that the peer has done nothing for it, so it may be repeated
   * @param by one of the constants above
   * @param reason for a log
   */
  abstract onAbort(code: number, by: number, reason: string): void;
}

/** A request to us. */
export abstract class ServerStream extends Stream {
  /** An extended CONNECT: what is sent are the bytes of a tunnel, without trailers (RFC 9113 §8.5). */
  tunnel = false;

  /**
   * The request's head has come; it holds until this returns.
   * @param fault answer with this failure, and look at nothing else of the head; null: all is well
   * @param ended no body and no trailers follow
   */
  abstract onRequest(head: RequestHead, fault: FailureCode | null, ended: boolean): void;
}

/** A request of ours. */
export abstract class ClientStream extends Stream {
  /** The final response's head has come. */
  responded = false;
  /** The request was a HEAD: the response has no body, whatever its head says. */
  bodiless = false;

  /** An interim response (1xx); it holds until this returns. */
  abstract onInterim(head: ResponseHead): void;
  /** The final response's head; it holds until this returns. */
  abstract onResponse(head: ResponseHead, ended: boolean): void;
}
