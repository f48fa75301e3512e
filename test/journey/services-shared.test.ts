import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { type HranaDouble, startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { startApp } from './apps.ts';
import { startLoad } from './load.ts';
import { get, type Page, type Server, serve, start } from './oo.ts';

const shared = suite('services on two servers, one database');

const token = 'secret-token';
let database: HranaDouble;
let servers: Server[];

shared.before(async () => {
  database = await startHrana(join(temporary(), 'shared.db'), token);
  const serveOne = () => serve({ flags: ['--db', database.url], env: { OO_DB_TOKEN: token } });
  servers = await Promise.all([serveOne(), serveOne()]);
});
// What a test opens stays until the end: the servers are closed by the same hand.
shared.after(async () => {
  const ends = await Promise.all(servers.map((server) => server.stop())).finally(cleanUp);
  await database.close();
  assert.equal(
    ends.map(({ code }) => code),
    [0, 0],
  );
});

/** Asks the service port until the answer is so. @returns how long that took, ms */
async function answers(server: Server, path: string, is: (page: Page) => boolean, ms = 5_000): Promise<number> {
  const began = performance.now();
  for (;;) {
    // Several at once: any of the workers.
    const pages = await Promise.all(Array.from({ length: 4 }, () => get(server.adminPort, path)));
    const took = performance.now() - began;
    if (pages.every(is)) return Math.round(took);
    if (took > ms) throw new Error(`${path}: not within ${ms} ms, but ${pages[0].status} ${pages[0].text}`);
    await sleep(30);
  }
}

shared(
  'an instance that registers at one is served by the other; its heartbeat there keeps it alive here',
  async () => {
    const [one, two] = servers;
    const app = await startApp('app');
    const words = ['instance', 'register', '--slug', 'user-svc', '--url', app.url, '--ttl', '5s'];
    const keeper = start([...words, '--state-dir', one.stateDir]);
    const here = await answers(one, '/user-svc/x', ({ text }) => text === 'app /user-svc/x');
    const there = await answers(two, '/user-svc/x', ({ text }) => text === 'app /user-svc/x');
    // The other server hears its heartbeats: each gives it its whole time to live again.
    const heard = async () => {
      const [instance] = JSON.parse((await two.ok('instance', 'ls', '-o', 'json')).out);
      return Date.parse(instance.lastHeartbeat);
    };
    const first = await heard();
    for (const end = performance.now() + 20_000; (await heard()) < first + 4_000; await sleep(300))
      assert.ok(performance.now() < end, 'no heartbeat comes over');
    for (const server of servers) assert.is((await get(server.adminPort, '/user-svc/x')).text, 'app /user-svc/x');
    const lists = await Promise.all(servers.map(async (server) => (await server.ok('instance', 'ls', '-q')).out));
    assert.is(lists[0], lists[1]);
    const nodes = await Promise.all(servers.map(async (server) => (await server.ok('node', 'ls', '-q')).out));
    assert.is(nodes[0], nodes[1]);
    assert.is(nodes[0].trim().split('\n').length, 2);
    assert.is((await keeper.stop()).code, 0);
    const isOut = ({ status }: Page) => status === 503 || status === 404;
    const gone = await answers(two, '/user-svc/x', isOut);
    await answers(one, '/user-svc/x', isOut);
    console.log(`served here after ${here} ms, on the other server ${there} ms later; out there after ${gone} ms`);
  },
);

shared('a definition, a deploy and a stop on one are in force on both', async () => {
  const [one, two] = servers;
  const [old, fresh] = await Promise.all([startApp('old'), startApp('fresh')]);
  await one.ok('deploy', 'web', '--target', old.url, '--host', 'localhost');
  for (const server of servers) await answers(server, '/web/x', ({ text }) => text === 'old /web/x');
  const until = performance.now() + 5_000;
  while ((await get(two.port)).text !== 'old /') assert.ok(performance.now() < until, 'its route there');
  const load = startLoad(two.port, 100);
  await one.ok('deploy', 'web', '--target', fresh.url);
  const took = await answers(two, '/web/x', ({ text }) => text === 'fresh /web/x');
  const samples = await load.stop();
  assert.equal(samples.filter(({ status }) => status !== 200).slice(0, 3), []);
  await two.ok('stop', 'web', '--message', 'Back soon.');
  await answers(one, '/web/x', ({ status, text }) => status === 503 && text.includes('Back soon.'));
  await one.ok('resume', 'web');
  await two.ok('rollback', 'web', '--force');
  for (const server of servers) await answers(server, '/web/x', ({ text }) => text === 'old /web/x');
  console.log(
    `a deploy is in force on the other server ${took} ms after it returned; ${samples.length} requests there, none failed`,
  );
});

shared('a token of one server is good on the other, and no longer once it is removed', async () => {
  const [one, two] = servers;
  const created = JSON.parse((await one.ok('token', 'create', '--service', 'mail-svc', '-o', 'json')).out);
  const headers = { authorization: `Bearer ${created.token}` };
  const list = () => get(two.adminPort, '/registry-svc/instances', { headers });
  const until = async (status: number) => {
    const end = performance.now() + 5_000;
    for (let page = await list(); page.status !== status; page = await list()) {
      if (performance.now() > end) throw new Error(`not ${status} but ${page.status}: ${page.text}`);
      await sleep(50);
    }
  };
  await until(200);
  await one.ok('token', 'rm', created.id);
  await until(401);
});

shared(
  'a database that goes away: services are served, instances register; deploys are refused until it is back',
  async () => {
    const [one, two] = servers;
    const [app, late] = await Promise.all([startApp('app'), startApp('late')]);
    const register = (slug: string, url: string) =>
      start(['instance', 'register', '--slug', slug, '--url', url, '--state-dir', one.stateDir]);
    const keepers = [register('kept-svc', app.url)];
    for (const server of servers) await answers(server, '/kept-svc/x', ({ status }) => status === 200);
    database.mood('refuse');
    keepers.push(register('late-svc', late.url));
    await answers(one, '/late-svc/x', ({ text }) => text === 'late /late-svc/x');
    // What a deploy says is acknowledged only when it is stored.
    for (const words of [
      ['deploy', 'kept-svc', '--target', late.url],
      ['stop', 'kept-svc'],
    ]) {
      const { code, err } = await one.cli(...words);
      assert.is(code, 1, err);
      assert.match(err, /^oo: The database /m);
      assert.match(err, 'oo goes on trying');
    }
    for (const server of servers)
      assert.is((await get(server.adminPort, '/kept-svc/x')).text, 'app /kept-svc/x', 'all goes on as it was');
    database.mood('answer');
    const stored = await answers(two, '/late-svc/x', ({ text }) => text === 'late /late-svc/x', 20_000);
    await one.ok('deploy', 'kept-svc', '--target', late.url);
    for (const server of servers) await answers(server, '/kept-svc/x', ({ text }) => text === 'late /kept-svc/x');
    console.log(`the database is back: who registered meanwhile is served by the other server after ${stored} ms`);
    for (const keeper of keepers) assert.is((await keeper.stop()).code, 0, keeper.err());
  },
);

shared.run();
