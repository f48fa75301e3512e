import { request } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { type HranaDouble, startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { startLoad } from './load.ts';
import { freePort, get, type Page, run, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const shared = suite('two servers, one database');

const token = 'secret-token';
let database: HranaDouble;
let app: Upstream;
let servers: Server[];

shared.before(async () => {
  database = await startHrana(join(temporary(), 'shared.db'), token);
  app = await startUpstream('app');
  const options = { flags: ['--db', database.url], env: { OO_DB_TOKEN: token } };
  servers = await Promise.all([serve(options), serve(options)]);
});

shared.after(async () => {
  const ends = await Promise.all(servers.map((server) => server.stop())).finally(cleanUp);
  await database.close();
  assert.equal(
    ends.map(({ code }) => code),
    [0, 0],
  );
});

/** Asks until the port answers with this status; returns how long it took, ms. */
async function answers(server: Server, host: string, status: number, ms = 2_000): Promise<number> {
  const began = performance.now();
  for (;;) {
    // Several at once: any of the workers.
    const pages = await Promise.all(Array.from({ length: 6 }, () => get(server.port, '/', { host })));
    const took = performance.now() - began;
    if (pages.every((page) => page.status === status)) return took;
    if (took > ms) throw new Error(`${host} is not answered with ${status} within ${ms} ms: ${server.err()}`);
    await sleep(20);
  }
}

/** A save by the API, as the CLI does it. */
function put(server: Server, route: object, headers = {}): Promise<Page> {
  return new Promise((resolve, reject) => {
    const socketPath = join(server.stateDir, 'oo.sock');
    const asked = request({ socketPath, method: 'PUT', path: '/v1/routes', headers });
    asked.on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    asked.end(JSON.stringify({ routes: [route] }));
  });
}

shared('both name the database, without its token', () => {
  for (const server of servers) {
    assert.match(server.err(), `Database: ${database.url}\n`);
    assert.not.match(server.err(), token);
  }
});

shared('a save on one is in force on the other within 2 s, a removal too', async () => {
  const [one, two] = servers;
  const times: number[] = [];
  for (const [from, to] of [
    [one, two],
    [two, one],
  ]) {
    await from.ok('route', 'save', '--id', 'moved.localhost', '--target', app.target);
    assert.is((await get(from.port, '/', { host: 'moved.localhost' })).text, 'app');
    times.push(await answers(to, 'moved.localhost', 200));
    await from.ok('route', 'rm', 'moved.localhost');
    times.push(await answers(to, 'moved.localhost', 404));
  }
  console.log(`in force on the other server after ${times.map(Math.round).join(' ')} ms`);
});

shared('saves on both at once are all kept, in one order', async () => {
  const count = 15;
  const saving = servers.map(async (server, s) => {
    for (let i = 0; i < count; i++) {
      const { status, text } = await put(server, { id: `s${s}-${i}.localhost`, target: app.target });
      assert.is(status, 200, text);
    }
  });
  await Promise.all(saving);
  for (const server of servers) for (let s = 0; s < 2; s++) await answers(server, `s${s}-${count - 1}.localhost`, 200);
  const lists = await Promise.all(servers.map(async (server) => (await server.ok('routes', 'ls', '-q')).out));
  assert.is(lists[0], lists[1]);
  assert.is(lists[0].trimEnd().split('\n').length, 2 * count);
});

shared('If-Match with a revision that the other server has passed is refused', async () => {
  const [one, two] = servers;
  const first = await put(one, { id: 'match.localhost', target: app.target });
  const { etag } = first.headers;
  await put(two, { id: 'match.localhost', target: '127.0.0.1:1' });
  const late = await put(one, { id: 'match.localhost', target: '127.0.0.1:2' }, { 'if-match': `${etag}` });
  assert.is(late.status, 412);
  assert.is(JSON.parse(late.text).code, 'OO_CONFLICT');
});

shared('a database that goes away does not stop traffic; the API says 503 and what to do; both catch up', async () => {
  const [one, two] = servers;
  await one.ok('route', 'save', '--id', 'localhost', '--target', app.target);
  await answers(two, 'localhost', 200);
  database.mood('refuse');
  const load = startLoad(two.port, 100);
  const refused = await put(one, { id: 'late.localhost', target: app.target });
  assert.is(refused.status, 503);
  const body = JSON.parse(refused.text);
  assert.is(body.code, 'OO_STORE_UNREACHABLE');
  assert.match(body.hint, /Traffic goes on with revision \d+\.$/);
  const cli = await one.cli('route', 'save', '--id', 'late.localhost', '--target', app.target);
  assert.is(cli.code, 1);
  assert.match(cli.err, `The database ${database.url}: the database server does not answer.`);
  assert.match(cli.err, 'Traffic goes on');
  assert.is((await one.ok('routes', 'ls', '-q')).out.includes('localhost\n'), true);
  await sleep(1_500);
  const samples = await load.stop();
  assert.ok(samples.length > 100 && samples.every(({ text }) => text === 'app'));
  assert.is((await get(one.port, '/', { host: 'late.localhost' })).status, 404, 'what was refused is not in force');
  database.mood('answer');
  await one.ok('route', 'save', '--id', 'late.localhost', '--target', app.target);
  const took = await answers(two, 'late.localhost', 200, 6_000);
  console.log(`the database is back: in force on the other server after ${Math.round(took)} ms`);
});

shared('a wrong token: one line, exit code 1', async () => {
  const ports = ['--http-port', `${await freePort()}`, '--admin-port', `${await freePort()}`];
  const args = ['serve', '--test-mode', ...ports, '--db', database.url, '--state-dir', temporary()];
  const ran = await run(args, { env: { OO_DB_TOKEN: 'wrong' } });
  assert.is(ran.code, 1);
  assert.match(ran.err, `oo: The database ${database.url}: the database server refused the token.\n`);
  assert.match(ran.err, 'OO_DB_TOKEN');
});

shared.run();
