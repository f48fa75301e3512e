import type net from 'node:net';
import type { EdgePool } from './pool.ts';

/** A client's connection, whatever it speaks, as its edge sees it. */
export interface EdgeClient {
  readonly socket: net.Socket;
  /** Bytes have come: buffer[0,n), which may be overwritten once this returns. What the next read lands in is said in `nextBuffer`. */
  read(buffer: Buffer, n: number): void;
  /** Called a few times a second. @param now as `clock.now` */
  onTick(now: number): void;
  /** Ends the connection at once. */
  close(): void;
  /** Whether a drain can end it now: no request of it is under way. */
  isIdle(): boolean;
  /** Bytes for the client wait in this process. */
  isWritePending(): boolean;
  /**
   * Others wait for a place at instances of this pool: it gives up responses that it does not read, but for a few. Those that have one request at
   * a time have none to give up.
   * @param before `clock.now` since when at least they have been left unread
   */
  makeRoom?(pool: EdgePool, before: number): void;
}

/** What a connection's certificate is good for; null where there is none, on plain HTTP. */
export type Served = {
  /** @param host in normal form: lower case, no final dot, no port; IPv6 in brackets */
  covers(host: string): boolean;
} | null;
