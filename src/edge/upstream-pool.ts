import type { CompiledRoute } from '../core/types.ts';
import { clock } from './clock.ts';
import type { Instance } from './instance.ts';
import { Http2Connection, maxStreamsPerConnection } from './upstream-http2.ts';
import { UpstreamStream } from './upstream-stream.ts';

/** A request that should meet no dead connection goes to one that has been heard within this time. */
const heardLatelyMs = 1_000;

/** The HTTP/2 connections of one instance, and the exchanges on them. */
export class Http2Pool {
  readonly instance: Instance;
  readonly connections: Http2Connection[] = [];
  /** Exchanges in hand. */
  streams = 0;
  /** What the instance allows on a connection, as far as it is known. */
  streamsPerConnection: number = maxStreamsPerConnection;
  connectTimeoutMs: number;

  constructor(instance: Instance) {
    this.instance = instance;
    this.connectTimeoutMs = instance.edge.settings.connectTimeoutMs;
  }

  /**
   * A stream, in the line of a connection; undefined when all are full, and no more may be opened.
   * @param fresh only on a connection that surely lives
   */
  acquire(route: CompiledRoute, fresh: boolean): UpstreamStream | undefined {
    this.connectTimeoutMs = route.route.connectTimeoutMs ?? this.instance.edge.settings.connectTimeoutMs;
    const connection = this.pick(fresh);
    if (connection === undefined) return undefined;
    const stream = new UpstreamStream(this, this.connectTimeoutMs);
    this.streams++;
    connection.add(stream);
    return stream;
  }

  /** It has, or may open, a connection for another request. */
  get available(): boolean {
    return this.mayOpen() || this.connections.some((connection) => connection.room() > 0);
  }

  /**
   * Finds a place for a stream that has lost its own, or was one too many.
   * @param home where it may wait if there is no other
   */
  place(stream: UpstreamStream, home?: Http2Connection): void {
    const connection = this.pick(false) ?? home;
    if (connection === undefined) stream.fail('OO_NO_INSTANCE', 'no connection has room');
    else connection.add(stream);
  }

  /** Takes a connection out: it takes no new streams. */
  retire(connection: Http2Connection): void {
    const at = this.connections.indexOf(connection);
    if (at >= 0) this.connections.splice(at, 1);
  }

  /** The oldest one with room comes first, so that the others can rest and end. */
  private pick(fresh: boolean): Http2Connection | undefined {
    const since = fresh ? clock.now - heardLatelyMs : Number.NEGATIVE_INFINITY;
    const { connections } = this;
    const ready = connections.find((connection) => connection.heardAt >= since && connection.room() > 0);
    if (ready !== undefined) return ready;
    // A server that allows no streams at all may change its mind; a second connection would not help.
    const shut = connections.find((connection) => connection.isShut());
    if (shut !== undefined || !this.mayOpen()) return shut;
    const opened = new Http2Connection(this, this.connectTimeoutMs);
    connections.push(opened);
    return opened;
  }

  private mayOpen(): boolean {
    return this.connections.length < this.instance.edge.settings.maxUpstreamConnections;
  }
}
