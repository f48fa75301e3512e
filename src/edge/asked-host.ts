import { normalizeAuthority } from '../core/host.ts';
import type { HostMatch, RouteTable } from '../core/table.ts';
import type { Scheme } from '../core/types.ts';
import type { Edge } from './edge.ts';
import type { Served } from './edge-client.ts';
import type { RequestRegisters } from './request-head.ts';
import { serviceHosts } from './service-port.ts';

const none: Buffer = Buffer.alloc(0);

/** What the host of a connection's last request resolved to: the next one mostly has the same. */
export class AskedHost {
  /** As sent. */
  authority = '';
  hosts: HostMatch | undefined;
  /** The forwarding fields for it. */
  lines: Buffer = none;
  /** The connection's certificate is another host's (attack 40). */
  misdirected = false;
  readonly scheme: Scheme;
  private readonly edge: Edge;
  readonly peer: string;
  readonly version: '1.1' | '2.0';
  /** The port that the client has reached. */
  readonly localPort: number;
  /** It has come over the service port: paths decide, and hosts do not. */
  readonly service: boolean;
  private readonly served: Served;
  private readonly believed: boolean;
  private table: RouteTable | null = null;

  /** @param peer the client's address in its plain form */
  constructor(
    edge: Edge,
    peer: string,
    localPort: number,
    scheme: Scheme,
    served: Served,
    version: '1.1' | '2.0',
    service = false,
  ) {
    this.edge = edge;
    this.peer = peer;
    this.localPort = localPort;
    this.scheme = scheme;
    this.served = served;
    this.version = version;
    this.service = service;
    this.believed = edge.isTrusted(peer);
  }

  /** What it is for the present request, to be kept longer than that. @param lines its forwarding fields */
  kept(lines: Buffer): AskedHost {
    const { edge, peer, localPort, scheme, served, version, service } = this;
    const kept = new AskedHost(edge, peer, localPort, scheme, served, version, service);
    kept.authority = this.authority;
    kept.lines = lines;
    return kept;
  }

  /** Sets all of the above for the authority of a request; its head is in `buffer`. */
  resolve(buffer: Buffer, head: RequestRegisters): void {
    const { edge, authority } = this;
    const start = head.authorityStart;
    if (edge.table === this.table && head.authorityEnd - start === authority.length) {
      let i = 0;
      while (i < authority.length && buffer[start + i] === authority.charCodeAt(i)) i++;
      if (i === authority.length) return;
    }
    this.authority = buffer.toString('latin1', start, head.authorityEnd);
    this.table = edge.table;
    this.hosts = this.service ? serviceHosts(this.authority) : edge.hosts[this.scheme].find(edge.table, this.authority);
    this.lines = edge.forwardedLines(this);
    const host = this.served === null ? undefined : normalizeAuthority(this.authority)?.host;
    this.misdirected = host !== undefined && !this.served!.covers(host);
  }

  /**
   * Whether a target that says its scheme is for another one than the connection's. RFC 9110 §7.4: what is meant for https may not be answered over
   * plain HTTP; the other way round RFC 8164 §2.1 has rules that we do not offer. A trusted proxy knows what it does.
   * @param tls it says https
   */
  isOtherScheme(tls: boolean): boolean {
    return tls !== (this.scheme === 'https') && !this.believed;
  }

  /** The forwarding fields where a trusted proxy has said things of its own about the client. */
  priorLines(buffer: Buffer, head: RequestRegisters): Buffer {
    return this.edge.priorLines(this, buffer, head);
  }
}
