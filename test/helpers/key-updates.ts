import { createCipheriv, createHmac } from 'node:crypto';
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { closeLater } from './cleanup.ts';
import { sleep, within } from './wait.ts';

const applicationData = 23;
const handshake = 22;

/** RFC 8446 §7.1, with SHA-256 and for at most one block of it. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

/** A client of TLS 1.3 that makes its records itself once its handshake is done, so that it can send what OpenSSL's would not. */
export class RecordClient {
  readonly raw: net.Socket;
  private secret: Buffer;
  private count = 0n;

  private constructor(raw: net.Socket, secret: Buffer) {
    this.raw = raw;
    this.secret = secret;
  }

  /** Connects to a port of 127.0.0.1. Nothing more is read until the caller does; `cleanUp` ends it at the latest. */
  static async connect(port: number, servername: string): Promise<RecordClient> {
    const raw = net.connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {});
    closeLater({ close: () => void raw.destroy() });
    const wire = new Duplex({ read() {}, write: (chunk, _encoding, done) => void raw.write(chunk, () => done()) });
    const onData = (chunk: Buffer) => void wire.push(chunk);
    raw.on('data', onData);
    const version = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const;
    const socket = tls.connect({ socket: wire, servername, rejectUnauthorized: false, ...version });
    let secret: Buffer | undefined;
    socket.on('keylog', (line) => {
      const [label, , value] = line.toString().trim().split(' ');
      if (label === 'CLIENT_TRAFFIC_SECRET_0') secret = Buffer.from(value, 'hex');
    });
    const secured = new Promise<void>((resolve, reject) => socket.on('secureConnect', resolve).on('error', reject));
    await within(secured, 'a handshake');
    // The last message of the handshake has to leave.
    await sleep(20);
    raw.off('data', onData).pause();
    return new RecordClient(raw, secret as Buffer);
  }

  /** A record of data. */
  data(content: string): Buffer {
    return this.record(applicationData, Buffer.from(content, 'latin1'));
  }

  /** A key update (RFC 8446 §4.6.3); later records have the new key. @param asks for one in return */
  keyUpdate(asks: boolean): Buffer {
    const record = this.record(handshake, Buffer.from([24, 0, 0, 1, asks ? 1 : 0]));
    this.secret = expand(this.secret, 'traffic upd', 32);
    this.count = 0n;
    return record;
  }

  /** RFC 8446 §5.2, §5.3. */
  private record(type: number, content: Buffer): Buffer {
    const length = content.length + 1 + 16;
    const head = Buffer.from([applicationData, 3, 3, length >> 8, length & 255]);
    const nonce = Buffer.from(expand(this.secret, 'iv', 12));
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.count++, 4);
    const cipher = createCipheriv('aes-128-gcm', expand(this.secret, 'key', 16), nonce).setAAD(head);
    return Buffer.concat([
      head,
      cipher.update(content),
      cipher.update(Buffer.from([type])),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }
}
