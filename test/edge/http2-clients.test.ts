// time limit: 90 s
import { execFile } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import type { EdgeSettings } from '../../src/edge/settings.ts';
import { makeServed } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';

/** Clients that others have written, over TLS: curl, nghttp, h2load. */
const clients = suite('HTTP/2: other clients');
clients.after.each(cleanUp);

const app = makeServed(['app.test', '*.wild.test']);
const other = makeServed(['other.test']);
const body = Buffer.alloc(300_000, 'some bytes of a body ').toString('latin1');

async function start(routes: Partial<Route>[] = [{}], settings: Partial<EdgeSettings> = {}) {
  const origin = await startOrigin(({ line, body: sent }) => {
    if (line.includes('/big')) return reply(body);
    return reply(`${line} ${sent.length}`);
  });
  const all = routes.map((route) => ({ id: '*', target: origin.target, ...route }));
  const { edge, access } = await startEdge(all, { ...settings, logAccess: true });
  edge.certificates.save([app, other]);
  const port = await edge.listenTls({ port: 0, host: '127.0.0.1' }, false);
  return { origin, edge, port, access };
}

/** Runs a program; what it says on both its outputs. */
function run(program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: 30_000, maxBuffer: 10_000_000 }, (error, stdout, stderr) => {
      if (error?.killed) reject(error);
      else resolve(stdout + stderr);
    });
  });
}

/** curl over TLS: the status, the version, and the body. @param host whose certificate it asks for */
async function curl(port: number, host: string, path: string, ...args: string[]) {
  const url = `https://${host}:${port}${path}`;
  const where = [
    '--resolve',
    `${host}:${port}:127.0.0.1`,
    '-k',
    '-s',
    '-S',
    '-i',
    '-w',
    '\n%{http_version} %{http_code}',
  ];
  const said = await run('curl', ...where, ...args, url);
  const [version, status] = said.slice(said.lastIndexOf('\n') + 1).split(' ');
  return { version, status: Number(status), said };
}

for (const [name, flag, version] of [
  ['HTTP/2', '--http2', '2'],
  ['HTTP/1.1', '--http1.1', '1.1'],
] as const) {
  clients(`curl over ${name}: a GET, an upload, a large answer`, async () => {
    const { port, origin, access } = await start();
    const got = await curl(port, 'app.test', '/a', flag);
    assert.is(got.version, version);
    assert.is(got.status, 200);
    assert.match(origin.requests[0].head, /X-Forwarded-Proto: https\r\n/);
    const sent = await curl(port, 'a.wild.test', '/up', flag, '--data-binary', `@${import.meta.filename}`);
    assert.is(sent.status, 200);
    assert.ok(origin.requests[1].body.length > 3_000);
    const big = await curl(port, 'app.test', '/big', flag);
    assert.ok(big.said.includes(body));
    assert.is(JSON.parse(access[0]).protocol, version === '2' ? 'HTTP/2.0' : 'HTTP/1.1');
  });

  clients(`curl over ${name}: a host that the certificate does not serve is misdirected [attack 40]`, async () => {
    const { port, origin } = await start();
    const wrong = await curl(port, 'app.test', '/', flag, '-H', 'Host: other.test');
    assert.is(wrong.status, 421);
    assert.match(wrong.said, /OO_MISDIRECTED/);
    assert.is(origin.requests.length, 0);
    const right = await curl(port, 'app.test', '/', flag, '-H', 'Host: x.wild.test:443');
    assert.is(right.status, 200);
  });

  clients(`curl over ${name}: Strict-Transport-Security where the route says so`, async () => {
    const { port } = await start([{ id: 'app.test', hsts: true }, { id: '*' }]);
    const said = async (host: string) => (await curl(port, host, '/', flag)).said;
    assert.match(await said('app.test'), /^strict-transport-security: max-age=31536000\r$/im);
    assert.not.match(await said('x.wild.test'), /strict-transport-security/i);
    // Answers of our own have it as well.
    const refused = await curl(port, 'app.test', '/', flag, '--path-as-is', '-X', 'POST', '-H', 'Expect: miracles');
    assert.is(refused.status, 417);
  });
}

clients('nghttp: twenty requests at once', async () => {
  const { port, origin } = await start();
  const urls = Array.from({ length: 20 }, (_, i) => `https://127.0.0.1:${port}/${i}`);
  const said = await run('nghttp', '-n', '-s', '-y', '-H', ':authority: app.test', ...urls);
  assert.is(origin.requests.length, 20, said);
  assert.equal(
    origin.requests.map(({ line }) => Number(line.split(/[/ ]+/)[1])).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i),
  );
  assert.is((said.match(/ 200 +\d/g) ?? []).length, 20, said);
});

clients('h2load: 1, 10 and 100 streams', async () => {
  const { port } = await start();
  for (const streams of [1, 10, 100]) {
    const flags = ['-n', '1000', '-c', '4', '-m', String(streams), `--connect-to=127.0.0.1:${port}`];
    const said = await run('h2load', ...flags, 'https://app.test/small');
    assert.match(said, /1000 succeeded, 0 failed, 0 errored, 0 timeout/, said);
    assert.match(said, /status codes: 1000 2xx/, said);
  }
});

clients('h2load with small windows and large answers', async () => {
  const { port } = await start();
  const flags = ['-n', '100', '-c', '2', '-m', '10', '-w', '10', '-W', '12', `--connect-to=127.0.0.1:${port}`];
  const said = await run('h2load', ...flags, 'https://app.test/big');
  assert.match(said, /100 succeeded, 0 failed, 0 errored, 0 timeout/, said);
});

clients.run();
