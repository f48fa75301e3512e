// A process of its own, on the load's core: makes TLS connections for a time, one after the other on each lane, sends one GET
// on each, and closes it when the answer is there. Says what it counted. Each must be a full handshake, or, as ordered, resume the
// session of the one before.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import type { HandshakeOrder, HandshakeResult } from './handshakes.ts';

const order = JSON.parse(readFileSync(process.argv[2], 'utf8')) as HandshakeOrder;
const context = tls.createSecureContext({
  minVersion: 'TLSv1.3',
  ciphers: order.cipher,
  ecdhCurve: order.group,
});
const latenciesMs: number[] = [];
const errors: Record<string, number> = {};
let bytes = 0;
const started = performance.now();
const endsAt = started + order.seconds * 1000;

function fault(what: string): void {
  errors[what] = (errors[what] ?? 0) + 1;
}

/** One connection. @returns the session to resume next, if the server gave one */
function once(name: string, session: Buffer | undefined): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const began = performance.now();
    let ticket: Buffer | undefined;
    let answer = Buffer.alloc(0);
    const socket = tls.connect({
      host: '127.0.0.1',
      port: order.port,
      servername: name,
      secureContext: context,
      session,
      ALPNProtocols: ['http/1.1'],
      // Whether it is the right one has been looked at before; here it would only cost time.
      rejectUnauthorized: false,
    });
    socket.setNoDelay(true);
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in 10 s')));
    socket.on('secureConnect', () => {
      if (socket.isSessionReused() !== (session !== undefined)) fault(session ? 'not resumed' : 'resumed');
      socket.write(`GET ${order.path} HTTP/1.1\r\nHost: ${order.host || name}\r\n\r\n`);
    });
    socket.on('session', (each) => (ticket = each));
    socket.on('error', (error) => fault(error.message));
    socket.on('close', () => resolve(ticket));
    socket.on('data', (chunk) => {
      answer = answer.length === 0 ? chunk : Buffer.concat([answer, chunk]);
      const head = answer.indexOf('\r\n\r\n');
      const length = /\r\ncontent-length: *(\d+)/i.exec(answer.toString('latin1', 0, Math.max(head + 2, 0)))?.[1];
      if (head < 0 || answer.length < head + 4 + Number(length)) return;
      if (answer.toString('latin1', 0, 12) !== 'HTTP/1.1 200')
        fault(answer.toString('latin1', 0, head).split('\r\n')[0]);
      bytes += Number(length);
      latenciesMs.push(performance.now() - began);
      socket.end();
      // The proxy's own end is waited for: a close that came before it would be a reset.
      socket.resume();
    });
  });
}

async function lane(): Promise<void> {
  let session: Buffer | undefined;
  while (performance.now() < endsAt) {
    const name = order.names[Math.floor(Math.random() * order.names.length)];
    const ticket = await once(name, session);
    if (!order.resumed) continue;
    // Not every server gives another ticket to who has one; the one that was used serves again.
    session = ticket ?? session;
    if (session === undefined) fault('no ticket');
  }
}

await Promise.all(Array.from({ length: order.lanes }, lane));
latenciesMs.sort((a, b) => a - b);
const result: HandshakeResult = {
  requests: latenciesMs.length,
  bytes,
  seconds: (performance.now() - started) / 1000,
  p99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? 0,
  errors,
};
process.stdout.write(`BENCH ${JSON.stringify(result)}\n`);
