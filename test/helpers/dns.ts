import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { closeLater } from './cleanup.ts';

export type DnsAnswer =
  /** Records, with their TTL in seconds; none: the name is there, and has none of this type. */
  | { readonly addresses: readonly string[]; readonly ttl?: number }
  | 'no-such-name'
  | 'server-failure'
  /** Never answered. */
  | 'silence';

export type DnsType = 'A' | 'AAAA';

export interface DnsServer {
  /** `127.0.0.1:port`, as Resolver.setServers takes it. */
  readonly address: string;
  /** By `name type`, or `name` for both. What is not in it is no such name. */
  readonly zone: Map<string, DnsAnswer>;
  /** All that was asked, `name type`. */
  readonly asked: string[];
  close(): void;
}

const types: Readonly<Record<number, DnsType>> = { 1: 'A', 28: 'AAAA' };

/** A DNS server over UDP, closed by `cleanUp`. */
export async function serveDns(zone: Record<string, DnsAnswer> = {}): Promise<DnsServer> {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let isOpen = true;
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    zone: new Map(Object.entries(zone)),
    asked: [],
    close() {
      if (isOpen) socket.close();
      isOpen = false;
    },
  };
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = questionOf(query);
    server.asked.push(`${name} ${types[type]}`);
    const answer = server.zone.get(`${name} ${types[type]}`) ?? server.zone.get(name) ?? 'no-such-name';
    if (answer !== 'silence') socket.send(reply(query, end, type, answer), port, address);
  });
  return closeLater(server);
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]; length > 0; length = query[at]) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function reply(query: Buffer, end: number, type: number, answer: Exclude<DnsAnswer, 'silence'>): Buffer {
  const isRecords = typeof answer === 'object';
  const family = types[type] === 'A' ? 4 : 6;
  const addresses = isRecords ? answer.addresses.filter((address) => net.isIP(address) === family) : [];
  const head = Buffer.from(query.subarray(0, 12));
  const code = answer === 'no-such-name' ? 3 : answer === 'server-failure' ? 2 : 0;
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  const records = addresses.map((address) => {
    const data = bytesOf(address);
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE((isRecords ? answer.ttl : undefined) ?? 60, 6);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, data]);
  });
  return Buffer.concat([head, query.subarray(12, end), ...records]);
}

function bytesOf(address: string): Buffer {
  if (net.isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [before, after] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const gap = Array(8 - before.length - (after?.length ?? 0)).fill('0');
  const words = after === undefined ? before : [...before, ...gap, ...after];
  return Buffer.from(words.map((word) => word.padStart(4, '0')).join(''), 'hex');
}
