import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { within } from './wait.ts';

/** The first bytes that Node's client sends: its hello, in one record. */
export function clientHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const sent = new Promise<Buffer>((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(Buffer.from(chunk));
        done();
      },
    });
    tls.connect({ socket: wire, rejectUnauthorized: false, ...options }).on('error', () => {});
  });
  return within(sent, 'a hello');
}

/** A hello in one record, cut into records of `size` bytes. */
export function fragment(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

/** A hello of our own making, with these extensions: type and content of each. */
export function makeHello(extensions: readonly (readonly [number, Buffer])[], suites = [0x1301, 0xc02b]): Buffer {
  const list = Buffer.concat(
    extensions.map(([type, content]) => Buffer.concat([two(type), two(content.length), content])),
  );
  const suiteBytes = Buffer.concat(suites.map(two));
  const body = [Buffer.from([3, 3]), Buffer.alloc(32, 7), Buffer.from([0]), two(suiteBytes.length), suiteBytes];
  const message = Buffer.concat([...body, Buffer.from([1, 0]), two(list.length), list]);
  const header = Buffer.from([1, 0, message.length >> 8, message.length & 255]);
  return Buffer.concat([Buffer.from([22, 3, 1]), two(message.length + 4), header, message]);
}

/** The server name extension (RFC 6066 §3). */
export function serverNames(name: string | Buffer, type = 0): readonly [number, Buffer] {
  const bytes = typeof name === 'string' ? Buffer.from(name, 'latin1') : name;
  return [0, Buffer.concat([two(bytes.length + 3), Buffer.from([type]), two(bytes.length), bytes])];
}

export function two(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}
