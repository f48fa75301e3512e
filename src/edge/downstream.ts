import type { FailureCode } from '../core/failure.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { UpstreamConnection } from './upstream.ts';

/**
 * The client's side of one exchange, as the upstream connection that carries it sees it. Bytes that it is given lie in
 * the upstream connection's read buffer: they stay there until `isWritePending` is false.
 */
export interface Downstream {
  readonly route: CompiledRoute | null;
  readonly isHead: boolean;
  /** The whole request has been handed over. */
  isRequestComplete(): boolean;
  wantsUpgrade(): boolean;
  /** Chunks must be taken apart for it. */
  wantsDecoded(): boolean;
  isWritePending(): boolean;
  /** An interim response; its head is in the edge's response scanner, and starts at `start`. */
  onInterim(buffer: Buffer, start: number): void;
  /** The final response's head, likewise. `onBody` follows at once. */
  onResponse(buffer: Buffer, start: number, closeDelimited: boolean): void;
  /** Body bytes, framing included; also none, to let the head go. */
  onBody(buffer: Buffer, from: number, to: number): void;
  /** What ends a chunked body whose trailers were held back. */
  onBodyTail(tail: Uint8Array): void;
  /** The response is complete, and the upstream connection another's. */
  onResponseEnd(): void;
  /** 101: from now on both sides send what they like. */
  onSwitch(buffer: Buffer, start: number): void;
  onTunnelBytes(buffer: Buffer, from: number, to: number): void;
  onTunnelEnd(): void;
  /** The upstream has taken all that was pending. */
  onUpstreamDrain(): void;
  /** The upstream connection is gone before its response was complete. */
  onUpstreamFailed(up: UpstreamConnection, code: FailureCode, responseStarted: boolean): void;
}
