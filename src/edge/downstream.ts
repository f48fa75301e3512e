import type { FailureCode } from '../core/failure.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { ResponseScanner } from '../http1/scan.ts';
import type { Instance } from './instance.ts';

/**
 * What is known of a response's head: the registers of http1's scanner, as far as a client reads them. The head itself is HTTP/1.1
 * bytes, whatever the upstream speaks, from the `start` that comes with it to `end`; a transfer coding has its line there.
 */
export type ResponseRegisters = Pick<
  ResponseScanner,
  | ('status' | 'chunked' | 'contentLength' | 'end' | 'cuts' | 'cutCount' | 'cutAlso')
  | ('upgradeStart' | 'upgradeEnd' | 'codingLineStart' | 'codingLineEnd')
> & {
  /** A field of it came never to be indexed (RFC 7541 §7.1.3). */
  readonly neverIndexed?: boolean;
};

/**
 * The client's side of one exchange, as the upstream connection that carries it sees it. Bytes that it is given lie in
 * the upstream connection's read buffer: they stay there until `isWritePending` is false.
 */
export interface Downstream {
  readonly route: CompiledRoute | null;
  readonly isHead: boolean;
  /** The client said `te: trailers`: an upstream that speaks HTTP/2 is told so. */
  readonly trailersWelcome: boolean;
  /** A field of the request came never to be indexed (RFC 7541 §7.1.3). */
  readonly neverIndexed: boolean;
  /** The whole request has been handed over. */
  isRequestComplete(): boolean;
  wantsUpgrade(): boolean;
  /** Chunks must be taken apart for it; trailers come by `onTrailers`. */
  wantsDecoded(): boolean;
  /** Whether much may be read at once for it: what is read waits in memory until the client takes it. */
  wantsMuch(): boolean;
  isWritePending(): boolean;
  /** An interim response: its head is buffer[start, head.end). */
  onInterim(buffer: Buffer, start: number, head: ResponseRegisters): void;
  /** The final response's head has come; `onResponse` or `onSwitch` follow, unless that is wrong. */
  onAnswer(status: number): void;
  /** The final response's head, likewise; it may be changed in place. `onBody` follows at once. */
  onResponse(buffer: Buffer, start: number, head: ResponseRegisters, closeDelimited: boolean): void;
  /** Body bytes, framing included; also none, to let the head go. */
  onBody(buffer: Buffer, from: number, to: number): void;
  /** What ends a chunked body whose trailers were held back; not for a client that wants it decoded. */
  onBodyTail(tail: Uint8Array): void;
  /** Trailers of a decoded body: HTTP/1.1 lines and an empty one. `onResponseEnd` follows. */
  onTrailers(lines: Uint8Array): void;
  /** The response is complete, and the upstream connection another's. */
  onResponseEnd(): void;
  /** 101: from now on both sides send what they like. */
  onSwitch(buffer: Buffer, start: number, head: ResponseRegisters): void;
  onTunnelBytes(buffer: Buffer, from: number, to: number): void;
  onTunnelEnd(): void;
  /** The upstream has taken all that was pending. */
  onUpstreamDrain(): void;
  /** The upstream connection is gone before its response was complete. */
  onUpstreamFailed(up: Upstream, code: FailureCode, responseStarted: boolean): void;
}

/** What carries one exchange to an instance, as the client's side of it sees it. */
export interface Upstream {
  readonly instance: Instance;
  /** It is open (and, with TLS, proven): bytes may have left. */
  readonly connected: boolean;
  /** When it opened, ms of performance.now(): what it waited for before is no latency of its instance. */
  readonly connectedAt: number;
  /** It has carried an exchange before this one. */
  readonly reused: boolean;
  /** `clock.now` at which the response's first byte must have come, ms; 0: no limit beside the route's. Counts for the present exchange. */
  tryBy: number;
  /** Why it failed: for the log. */
  readonly cause: string;
  /** True where the instance has answered, and only we are still at work: it holds no place there. */
  readonly freed?: boolean;
  /** Where the request's head is written, by `headRoom`; and its length. */
  readonly out: Buffer;
  outLength: number;
  /** It frames bodies itself: `sendBody` takes payload only, `sendTrailers` trailers, and `requestSent` ends it. */
  readonly framesItself: boolean;
  /** Begins an exchange. The client writes the head with `sendHead` next. */
  begin(client: Downstream): void;
  /** Room for a request head of at most `bytes`, kept until the exchange ends. */
  headRoom(bytes: number): Buffer;
  /** Sends the first `length` bytes of `out`, an HTTP/1.1 head. */
  sendHead(length: number): void;
  /** The head of the present request, as it was sent. */
  sentHead(): Buffer;
  /** Sends body bytes. Returns false when they are still pending: their owner must not overwrite them until `onUpstreamDrain`. */
  sendBody(view: Buffer): boolean;
  /** Trailers, as HTTP/1.1 lines and an empty one; only where `framesItself`. They are copied. */
  sendTrailers(lines: Uint8Array): void;
  /**
   * Gives another one that frames bodies itself all that it was given of one; only where `framesItself`, after it has failed, and nothing of the
   * request has been looked at.
   * @returns whether there was something, and none of it is pending
   */
  passBody(to: Upstream): boolean;
  /** The whole request has been handed over: from now on the instance is expected to answer. */
  requestSent(): void;
  /** Nothing that it was given is still pending. */
  isDrained(): boolean;
  /** A view of bytes just read; the last one mostly fits again. */
  view(buffer: Buffer, from: number, to: number): Buffer;
  /** Stops reading until `resume`, because the client has not taken what was read. */
  pause(): void;
  resume(): void;
  /** Whether any byte of the present response has come. */
  hasHeard(): boolean;
  /** Half-closes a tunnel. */
  endTunnel(): void;
  /** Leaves the exchange at once; its client hears nothing of it. */
  destroy(): void;
}

/** An open connection to an instance, as the edge sees it. */
export interface OpenUpstream {
  /** Called a few times a second: what takes too long ends. */
  onTick(now: number): void;
  /** Ends it at once. */
  destroy(): void;
}
