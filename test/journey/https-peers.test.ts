import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import type { Pebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, within } from '../helpers/wait.ts';
import { grpcClient, grpcServer } from './grpc.ts';
import { fetched, newHost, serveWithPebble } from './https.ts';
import { python, python3, shake } from './https-clients.ts';
import { freePort, run, type Server } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// Clients that others have written, over HTTPS: httpx, h2load, openssl, gRPC.
const peers = suite('clients that are not ours, over HTTPS');

let pebble: Pebble;
let server: Server;
let app: Upstream;
let caFile: string;
const [host, plainGrpc, secureGrpc, downGrpc] = [newHost(), newHost(), newHost(), newHost()];

peers.before(async () => {
  app = await startUpstream((request, response) => {
    if (request.method === 'POST') return void request.pipe(response);
    response.end(`${request.headers['x-forwarded-proto']} ${request.url}`);
  });
  ({ pebble, server, caFile } = await serveWithPebble());
  const own = makeCertificate('DNS:localhost');
  const files = [own.key, own.cert].map((text, i) => {
    const file = join(temporary(), `${i}.pem`);
    writeFileSync(file, text);
    return file;
  });
  const [plain, secure] = await Promise.all([startGrpc(), startGrpc(...files)]);
  const saves: [string, string, ...string[]][] = [
    [host, app.target],
    [plainGrpc, `h2c://127.0.0.1:${plain}`],
    [secureGrpc, `https://127.0.0.1:${secure}`, '--insecure-skip-verify'],
    [downGrpc, `h2c://127.0.0.1:${await freePort()}`],
  ];
  for (const [id, target, ...flags] of saves)
    await server.ok('route', 'save', '--id', id, '--target', target, ...flags);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
});

peers.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  pebble.close();
  assert.is(code, 0);
});

/** Starts a gRPC server, over TLS if it gets files of a key and a certificate. @returns its port */
async function startGrpc(...files: string[]): Promise<number> {
  const child = spawn(python3, ['-c', grpcServer, ...files], { stdio: ['pipe', 'pipe', 'inherit'] });
  closeLater({ close: () => child.kill('SIGKILL') });
  const port = new Promise<number>((resolve) => child.stdout.once('data', (text) => resolve(Number(text))));
  return within(port, 'the port of the gRPC server', 20_000);
}

/** What the gRPC client makes of an expression of its program. */
async function grpc(name: string, what: string): Promise<unknown> {
  return JSON.parse(await python(grpcClient, `${server.httpsPort}`, name, caFile, what));
}

peers('httpx by HTTP/1.1 and HTTP/2: pages, many at once, an upload that comes back', async () => {
  const program = `
import asyncio, httpx, json, socket, ssl, sys
port, host, roots = sys.argv[1:4]
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda name, *more, **named: resolve('127.0.0.1', *more, **named)
async def main(http2):
    context = ssl.create_default_context(cafile=roots)
    async with httpx.AsyncClient(verify=context, http2=http2, timeout=20) as client:
        ask = lambda method, path, **more: client.request(method, 'https://' + host + ':' + port + path, **more)
        pages = await asyncio.gather(*(ask('GET', '/%d' % i) for i in range(50)))
        good = all(page.text == 'https /%d' % i and page.status_code == 200 for i, page in enumerate(pages))
        body = bytes(i * 7 & 255 for i in range(500000))
        back = await ask('POST', '/', content=body)
        return [good, back.content == body, back.http_version]
print(json.dumps([asyncio.run(main(False)), asyncio.run(main(True))]))
`;
  const out = JSON.parse(await python(program, `${server.httpsPort}`, host, caFile));
  assert.equal(out, [
    [true, true, 'HTTP/1.1'],
    [true, true, 'HTTP/2'],
  ]);
});

peers('h2load: 1, 10 and 100 streams a connection, no request fails', async () => {
  for (const streams of [1, 10, 100]) {
    const count = 2_000;
    const load = ['-n', `${count}`, '-c', '4', '-m', `${streams}`, `--connect-to=127.0.0.1:${server.httpsPort}`];
    const ran = await run([...load, `https://${host}/`], { program: 'h2load' });
    assert.match(ran.out, 'Application protocol: h2');
    assert.match(ran.out, `${count} succeeded, 0 failed, 0 errored, 0 timeout`);
    assert.match(ran.out, `status codes: ${count} 2xx`);
  }
});

/** openssl's client; its standard input ends at once. */
async function openssl(...flags: string[]): Promise<string> {
  const connect = ['s_client', '-connect', `127.0.0.1:${server.httpsPort}`, '-CAfile', caFile];
  const { out, err } = await run([...connect, ...flags], { program: 'openssl', input: '' });
  return out + err;
}

peers('openssl: TLS 1.2 and 1.3 with good ciphers; older ones and weak ciphers are refused with an alert', async () => {
  for (const [flag, version] of [
    ['-tls1_3', 'TLSv1.3'],
    ['-tls1_2', 'TLSv1.2'],
  ]) {
    const said = await openssl('-servername', host, '-verify_hostname', host, '-verify_return_error', flag);
    assert.match(said, `New, ${version}, Cipher is`);
    assert.match(said, 'Verification: OK');
    assert.match(said, /Cipher is (TLS_|ECDHE-ECDSA-)/);
  }
  const loose = ['-cipher', 'ALL:@SECLEVEL=0'];
  assert.match(await openssl('-servername', host, '-tls1_1', ...loose), 'alert protocol version');
  assert.match(await openssl('-servername', host, '-tls1_2', '-cipher', 'AES128-SHA'), 'alert handshake failure');
  const nobody = await openssl('-servername', 'nobody.example.com');
  assert.match(nobody, 'unrecognized name');
  assert.match(await openssl('-servername', host, '-alpn', 'h2,http/1.1'), 'ALPN protocol: h2');
  assert.match(await openssl('-servername', host, '-alpn', 'http/1.1'), 'ALPN protocol: http/1.1');
});

peers('openssl: a session resumes', async () => {
  for (const flag of ['-tls1_3', '-tls1_2']) {
    const said = await openssl('-servername', host, flag, '-reconnect');
    if (flag === '-tls1_2') assert.is(said.split('Reused, TLSv1.2').length - 1, 5, said);
    const file = join(temporary(), 'session.pem');
    // The ticket of TLS 1.3 comes after the handshake: an answer is waited for.
    const asked = ['s_client', '-connect', `127.0.0.1:${server.httpsPort}`, '-servername', host, flag, '-ign_eof'];
    const input = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await run([...asked, '-sess_out', file], { program: 'openssl', input });
    const again = await run([...asked, '-sess_in', file], { program: 'openssl', input });
    assert.match(again.out, /Reused, TLSv1/);
  }
});

for (const [kind, name] of [
  ['h2c://', plainGrpc],
  ['https://', secureGrpc],
]) {
  peers(`gRPC to ${kind}: unary with metadata and trailers, errors, streams one way and both`, async () => {
    await fetchedCertificate(name);
    assert.equal(await grpc(name, 'unary()'), ['said hello', 'one', 'two', [0, 255]]);
    assert.is(await grpc(name, 'large()'), 3_000_005);
    assert.equal(await grpc(name, `status('/echo.Echo/Fail')`), ['FAILED_PRECONDITION', 'not now: ü', 'test']);
    assert.is(((await grpc(name, `status('/echo.Echo/Nothing')`)) as string[])[0], 'UNIMPLEMENTED');
    assert.equal(await grpc(name, 'streams()'), [true, 499_500]);
    assert.equal(await grpc(name, 'chat()'), [true, 0, 'OK']);
  });

  peers(`gRPC to ${kind}: a client that cancels, or whose time is over, ends the call at the upstream`, async () => {
    assert.equal(await grpc(name, 'cancel()'), ['begun', 1]);
    assert.is(await grpc(name, 'deadline()'), 'DEADLINE_EXCEEDED');
  });
}

peers('gRPC to an upstream that is down: UNAVAILABLE, in words', async () => {
  await fetchedCertificate(downGrpc);
  const [code, details] = (await grpc(downGrpc, `status('/echo.Echo/Say')`)) as string[];
  assert.is(code, 'UNAVAILABLE');
  assert.ok(details.length > 0);
});

/** A certificate may be on its way still. */
async function fetchedCertificate(name: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await shake(name, { port: server.httpsPort }).catch(() => undefined)) return;
    await sleep(100);
  }
  throw new Error(`no certificate for ${name}: ${server.err()}`);
}

peers.run();
