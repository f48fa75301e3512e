import { type ClientHttp2Session, connect } from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { startApp } from './apps.ts';
import { freePort, type Server, serve } from './oo.ts';
import { startUpstream } from './upstream.ts';

const secure = suite('services and deploys over HTTPS and HTTP/2');
let server: Server;
secure.before(async () => {
  server = await serve({ httpsPort: await freePort(), flags: ['--acme', 'off', '--workers', '2'] });
});
// The server is closed by the same hand as what tests open: at the end.
secure.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  assert.is(code, 0, server.err());
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cookie: string;
  readonly startedAt: number;
}

/** One request over a connection. Rejects where it has no whole answer. */
function ask(session: ClientHttp2Session, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  const startedAt = performance.now();
  const stream = session.request({ ':path': '/', ...(body !== undefined && { ':method': 'POST' }), ...headers });
  const answer = new Promise<Answer>((resolve, reject) => {
    let text = '';
    let head: { status: number; cookie: string } = { status: 0, cookie: '' };
    stream.on('response', (fields) => {
      head = { status: Number(fields[':status']), cookie: String(fields['set-cookie'] ?? '') };
    });
    stream.setEncoding('utf8').on('data', (part) => (text += part));
    stream.on('end', () => resolve({ ...head, text, startedAt })).on('error', reject);
  });
  stream.end(body);
  return within(answer, 'an answer', 15_000);
}

/** Connections of their own, so that every worker has one. */
async function sessions(host: string, count: number): Promise<ClientHttp2Session[]> {
  const open = async () => {
    const session = connect(`https://127.0.0.1:${server.httpsPort}`, { servername: host, rejectUnauthorized: false });
    closeLater({ close: () => session.destroy() });
    await within(
      new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject)),
      'TLS',
      10_000,
    );
    return session;
  };
  return Promise.all(Array.from({ length: count }, open));
}

const at = (host: string) => ({ ':authority': host });

secure('a deploy under streams: none fails, an event stream goes on, the old one is left alone', async () => {
  const host = 'web.localhost';
  const [one, two] = await Promise.all([startApp('one'), startApp('two')]);
  await server.ok('route', 'save', '--id', host, '--target', one.url);
  const list = await sessions(host, 4);
  const events = list[0].request({ ':path': '/events', ...at(host) });
  let text = '';
  events.setEncoding('utf8').on('data', (part) => (text += part));
  events.on('error', () => {});
  await until(() => text.includes('one 3\n'), 'events');
  const answers: Answer[] = [];
  const failed: unknown[] = [];
  let stopped = false;
  const load = list.flatMap((session) =>
    Array.from({ length: 3 }, async () => {
      while (!stopped) {
        await ask(session, at(host)).then(
          (answer) => answers.push(answer),
          (error) => failed.push(error),
        );
        await sleep(20);
      }
    }),
  );
  await sleep(300);
  const { out } = await server.ok('deploy', host, '--target', two.url, '--drain', '500ms');
  const returned = performance.now();
  await sleep(300);
  stopped = true;
  await Promise.all(load);
  assert.equal([failed, answers.filter(({ status }) => status !== 200)], [[], []]);
  assert.equal(
    [...new Set(answers.filter(({ startedAt }) => startedAt > returned).map(({ text }) => text))],
    ['two /'],
  );
  assert.match(out, `1 request or connection runs on ${one.url}`);
  const seen = text.length;
  await until(() => text.length > seen, 'more events');
  assert.match(text.slice(seen), 'one');
  console.log(`${answers.length} streams through a deploy, none failed`);
  events.destroy();
});

secure('sticky over HTTPS: the cookie is Secure, and leads through all workers to one instance', async () => {
  const host = 'sticky.localhost';
  const apps = await Promise.all(['a', 'b', 'c'].map(startApp));
  const targets = apps.flatMap(({ url }) => ['--target', url]);
  await server.ok('route', 'save', '--id', host, ...targets, '--sticky', 'true');
  const list = await sessions(host, 4);
  for (const session of list) {
    const first = await ask(session, at(host));
    assert.match(first.cookie, /^oo_sticky=[\w-]+; .*Secure/);
    assert.match(first.cookie, 'HttpOnly');
    const [cookie] = first.cookie.split(';');
    // Browsers may send each cookie in a field of its own (RFC 9113 §8.2.3).
    for (const other of list) {
      const answer = await ask(other, { ...at(host), cookie });
      assert.equal([answer.text, answer.cookie], [first.text, '']);
    }
  }
});

secure('a pause holds streams with their bodies; other streams of the connection go on', async () => {
  const host = 'paused.localhost';
  const sizes = await startUpstream((request, response) => {
    let bytes = 0;
    request.on('data', (chunk) => (bytes += chunk.length)).on('end', () => response.end(`${bytes}`));
  });
  for (const id of [host, `${host}/held`]) await server.ok('route', 'save', '--id', id, '--target', sizes.target);
  const [session] = await sessions(host, 1);
  await server.ok('pause', `${host}/held`);
  let done = 0;
  const body = 'x'.repeat(1_000_000);
  const held = Array.from({ length: 5 }, () =>
    ask(session, { ...at(host), ':path': '/held' }, body).finally(() => done++),
  );
  await sleep(300);
  // What is held must not use up the window that all streams share.
  assert.is((await ask(session, at(host), body)).text, '1000000');
  assert.is(done, 0);
  await server.ok('resume', `${host}/held`);
  for (const { status, text } of await Promise.all(held)) assert.equal([status, text], [200, '1000000']);
});

secure.run();
