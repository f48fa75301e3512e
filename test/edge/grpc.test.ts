// time limit: 120 s
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { listenHttp2 } from '../helpers/http2.ts';
import { startEdge } from '../helpers/proxy.ts';
import { until, within } from '../helpers/wait.ts';

const grpc = suite('gRPC');
grpc.after.each(cleanUp);

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.py`, import.meta.url));
const python = '/usr/bin/python3';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function start(name: string, args: readonly string[]): { child: ChildProcess; out: () => string; err: () => string } {
  const child = spawn(python, [fixture(name), ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  closeLater({ close: () => child.kill('SIGKILL') });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  child.on('close', () => running.delete(child));
  return { child, out: () => out, err: () => err };
}

/** Starts a server. @returns its port */
async function serve(...args: string[]): Promise<number> {
  const { out, err } = start('grpc-server', args);
  await until(() => /^\d+\n/.test(out()), 'the port of the server', 15_000).catch((error: Error) => {
    throw new Error(`${error.message}: ${err()}`);
  });
  return Number(out());
}

/** Makes the calls, one after another; fails with what one of them says. */
async function call(port: number, ...names: string[]): Promise<void> {
  await callOver('-', port, ...names);
}

/** The same. @param ca a file with the root that the client trusts, or '-' for no TLS */
async function callOver(ca: string, port: number, ...names: string[]): Promise<void> {
  const { child, out, err } = start('grpc-client', [String(port), ca, ...names]);
  await within(new Promise((resolve) => child.on('close', resolve)), `the calls ${names}`, 60_000);
  assert.is(out(), names.map((name) => `ok ${name}\n`).join(''), err());
}

/** A certificate in files, as the server wants it. */
function files(): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'oo-grpc-'));
  closeLater({ close: () => rmSync(directory, { recursive: true }) });
  const { cert, key } = makeCertificate('DNS:localhost', 'IP:127.0.0.1');
  const names = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(names[0], cert);
  writeFileSync(names[1], key);
  return names;
}

const calls = ['unary', 'client_stream', 'server_stream', 'both', 'big', 'fail', 'fail_late'];

for (const scheme of ['h2c', 'https']) {
  grpc(`${scheme}: unary, streams of either side, both ways, 4 MB messages, failures`, async () => {
    const upstream = await serve(...(scheme === 'https' ? files() : []));
    const edge = await startEdge([{ id: '*', target: `${scheme}://127.0.0.1:${upstream}`, insecureSkipVerify: true }]);
    await call(await listenHttp2(edge.edge), ...calls);
    assert.equal(edge.errors, []);
    assert.is(edge.edge.upstreams.size, 1);
  });

  grpc(`${scheme}: deadlines and cancellations reach the server; many calls at once`, async () => {
    const upstream = await serve(...(scheme === 'https' ? files() : []));
    const edge = await startEdge([{ id: '*', target: `${scheme}://127.0.0.1:${upstream}`, insecureSkipVerify: true }]);
    await call(await listenHttp2(edge.edge), 'deadline', 'cancel', 'cancel_stream', 'many', 'unary');
    assert.equal(edge.errors, []);
  });
}

grpc('TLS on both sides', async () => {
  const [cert, key] = files();
  const upstream = await serve(cert, key);
  const edge = await startEdge([{ id: '*', target: `https://127.0.0.1:${upstream}`, insecureSkipVerify: true }]);
  const served = {
    id: 'localhost',
    names: ['localhost'],
    chain: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
  };
  edge.edge.certificates.save([served]);
  const port = await edge.edge.listenTls({ port: 0, host: '127.0.0.1' }, false);
  await callOver(cert, port, ...calls, 'deadline', 'cancel', 'many');
  assert.equal(edge.errors, []);
});

grpc('an upstream that is not there, or too slow, is UNAVAILABLE', async () => {
  const upstream = await serve();
  const target = `h2c://127.0.0.1:${upstream}`;
  const edge = await startEdge([{ id: '*', target, responseTimeoutMs: 500 }]);
  const port = await listenHttp2(edge.edge);
  await call(port, 'late');
  assert.match(edge.errors.join(), /504 OO_UPSTREAM_TIMEOUT/);
  edge.route({ id: '*', target: 'h2c://127.0.0.1:9' });
  await call(port, 'unreachable');
  assert.match(edge.errors.join(), /502 OO_CONNECT_FAILED/);
});

grpc.run();
