import { MAX_TABLE_BYTES } from './dynamic-table.ts';
import { DEFAULT_WINDOW } from './frames.ts';

/** What one connection allows its peer. Times in ms, sizes in bytes. */
export interface ConnectionOptions {
  /** Streams that a client may have open; more are refused, so that it repeats them. */
  readonly maxConcurrentStreams: number;
  /** What a peer may send on a stream before any of it has been taken; grows to `maxStreamWindow` where bytes are taken as they come. */
  readonly streamWindow: number;
  readonly maxStreamWindow: number;
  /**
   * The same for all streams together: the most that a connection can make us keep. Several times a stream's, so that one upstream that
   * takes nothing does not stop the uploads to others; at least 65,535 (RFC 9113 §6.9.2).
   */
  readonly connectionWindow: number;
  readonly maxConnectionWindow: number;
  /** The dynamic table that a peer may use, at most 4096: what an idle connection costs beside its objects. */
  readonly headerTableSize: number;
  /** From the first byte of a head to its last one, and from the connection's start to the peer's SETTINGS. */
  readonly headTimeoutMs: number;
  /** How long a stream may wait for the peer to open its window. */
  readonly stallTimeoutMs: number;
}

export const defaultOptions: ConnectionOptions = {
  maxConcurrentStreams: 128,
  streamWindow: DEFAULT_WINDOW,
  maxStreamWindow: 1024 * 1024,
  connectionWindow: 512 * 1024,
  maxConnectionWindow: 2 * 1024 * 1024,
  headerTableSize: MAX_TABLE_BYTES,
  headTimeoutMs: 30_000,
  stallTimeoutMs: 60_000,
};
