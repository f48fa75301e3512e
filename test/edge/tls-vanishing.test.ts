// time limit: 90 s
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { useDirectWrite } from '../../src/edge/direct-write.ts';
import { useTlsHandles } from '../../src/edge/tls-handles.ts';
import type { UpstreamConnection } from '../../src/edge/upstream.ts';
import { makeServed } from '../helpers/certificate.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { sleep, until, within } from '../helpers/wait.ts';

// As the executable has it.
useDirectWrite();
useTlsHandles();

const vanishing = suite('TLS clients that vanish');
vanishing.after.each(cleanUp);

const host = 'app.test';
const next = random(7);
const upTo = (most: number) => Math.floor(next() * most);

/** Bytes that no other name has. */
function bytesOf(name: string, size: number): Buffer {
  return Buffer.alloc(size, `${name.padEnd(15, '.')}\n`);
}

function openTls(port: number, protocol: string, socket = net.connect(port, '127.0.0.1')): tls.TLSSocket {
  socket.on('error', () => {});
  const secure = tls.connect({ socket, servername: host, rejectUnauthorized: false, ALPNProtocols: [protocol] });
  closeLater({ close: () => void socket.destroy() });
  return secure.on('error', () => {});
}

/** A client that goes without a word: while it connects, shakes hands, asks, sends a body, or is answered. */
async function vanish(port: number): Promise<void> {
  const phase = upTo(6);
  const protocol = next() < 0.5 ? 'h2' : 'http/1.1';
  const raw = net.connect(port, '127.0.0.1').on('error', () => {});
  const secured = phase > 1 ? openTls(port, protocol, raw) : null;
  if (phase === 0) await within(new Promise((resolve) => raw.once('connect', resolve)), 'a connection');
  if (phase === 1) openTls(port, protocol, raw);
  if (secured !== null) await within(new Promise((resolve) => secured.once('secureConnect', resolve)), 'a handshake');
  if (phase > 2 && protocol === 'h2') {
    const session = http2.connect(`https://${host}`, { createConnection: () => secured! }).on('error', () => {});
    for (let i = 0; i < 4; i++) {
      const fields = { ':path': `/v/${phase === 5 ? 900_000 : 10}`, ':method': phase === 4 ? 'POST' : 'GET' };
      const stream = session.request(fields, { endStream: phase !== 4 }).on('error', () => {});
      if (phase === 4) stream.write(Buffer.alloc(upTo(60_000)));
      else if (next() < 0.5) stream.resume();
    }
  } else if (phase > 2) {
    const whole = `GET /v/900000 HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const upload = `POST /v/10 HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 90000\r\n\r\n${'x'.repeat(upTo(60_000))}`;
    secured!.write(phase === 3 ? whole.slice(0, 20) : phase === 4 ? upload : whole);
    if (next() < 0.5) secured!.resume();
  }
  await sleep(upTo(12));
  if (next() < 0.5) raw.resetAndDestroy();
  else raw.destroy();
}

/** Asks for bytes of its own, and looks at each of them. */
async function check1(port: number, name: string): Promise<void> {
  const size = upTo(150_000);
  const socket = openTls(port, 'http/1.1');
  const parts: Buffer[] = [];
  const ended = new Promise((resolve) => socket.on('close', resolve));
  socket.on('data', (chunk) => {
    parts.push(chunk);
    if (next() > 0.1) return;
    socket.pause();
    setTimeout(() => socket.resume(), upTo(10));
  });
  socket.write(`GET /${name}/${size} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await within(ended, `the answer for ${name}`, 20_000);
  const got = Buffer.concat(parts);
  assert.ok(got.subarray(got.indexOf('\r\n\r\n') + 4).equals(bytesOf(name, size)), `${name}: other bytes`);
}

async function check2(session: http2.ClientHttp2Session, name: string): Promise<void> {
  const size = upTo(150_000);
  const stream = session.request({ ':path': `/${name}/${size}`, ':authority': host });
  const parts: Buffer[] = [];
  const ended = new Promise((resolve, reject) => stream.on('close', resolve).on('error', reject));
  stream.on('data', (chunk) => parts.push(chunk));
  await within(ended, `the answer for ${name}`, 20_000);
  assert.ok(Buffer.concat(parts).equals(bytesOf(name, size)), `${name}: other bytes`);
}

vanishing('in any phase, by the hundred: everybody else gets every byte, and nothing is left behind', async () => {
  const origin = await startOrigin({
    request: ({ line }) => {
      const [, name, size] = line.split(/[/ ]+/);
      const body = bytesOf(name, Number(size));
      return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
    },
  });
  const { edge } = await startEdge([{ id: '*', target: origin.target }]);
  edge.certificates.save([makeServed([host])]);
  const port = await edge.listenTls({ port: 0, host: '127.0.0.1' }, false);
  const session = http2.connect(`https://${host}`, { createConnection: () => openTls(port, 'h2') });
  closeLater({ close: () => session.destroy() });
  const repeat = async (times: number, what: (i: number) => Promise<void>) => {
    for (let i = 0; i < times; i++) await what(i);
  };
  await Promise.all([
    ...[1, 2, 3, 4].map(() => repeat(100, () => vanish(port))),
    ...[1, 2].map((who) => repeat(40, (i) => check1(port, `one${who}-${i}`))),
    ...[1, 2, 3].map((who) => repeat(60, (i) => check2(session, `two${who}-${i}`))),
  ]);
  session.destroy();
  await until(() => edge.clients.size === 0 && edge.handshakes.size === 0, 'the end of all clients');
  const upstreams = () => [...edge.upstreams] as UpstreamConnection[];
  await until(() => upstreams().every(({ client }) => client === null), 'upstream connections at rest');
});

vanishing.run();
