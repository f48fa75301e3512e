// exclusive
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep, until } from '../helpers/wait.ts';
import { startLoad } from './load.ts';
import { get, killAll, lives, type Server, withServer } from './oo.ts';
import { startUpstream } from './upstream.ts';

const journey = suite('services');
journey.after.each(cleanUp);

/** Calls the registry over the service port, as an instance does. */
function registryOf(server: Server, token: string) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return {
    async register(url: string, more: object = {}): Promise<void> {
      const body = JSON.stringify({ url, id: idOf(url), ...more });
      const { status, text } = await get(server.adminPort, '/registry-svc/instance', { method: 'PUT', body, headers });
      assert.is(status, 201, text);
    },
    async leave(url: string): Promise<void> {
      const path = `/registry-svc/instance/${idOf(url)}`;
      const { status, text } = await get(server.adminPort, path, { method: 'DELETE', headers });
      assert.is(status, 204, text);
    },
  };
}

function idOf(url: string): string {
  return `inst_${url.replace(/\D/g, '')}`;
}

async function tokenFor(server: Server, slug: string): Promise<string> {
  return (await server.ok('token', 'create', '--service', slug, '-q')).out.trim();
}

journey(
  'a service registers, is reached through every worker with its full path, survives a killed one, and leaves',
  async () => {
    const app = await startUpstream((request, response) => response.end(`app ${request.url}`));
    await withServer(
      async (server) => {
        const { register, leave } = registryOf(server, await tokenFor(server, 'user-svc'));
        const unknown = await get(server.adminPort, '/user-svc/login');
        assert.is(unknown.status, 404);
        assert.match(unknown.text, "No service 'user-svc' is registered.");
        const url = `http://${app.target}`;
        await register(url);
        const path = '/user-svc/login%2Fnow?next=%2F';
        const all = () => Promise.all(Array.from({ length: 60 }, () => get(server.adminPort, path)));
        for (const { text } of await all()) assert.is(text, `app ${path}`);
        const [victim] = server.workers();
        killAll([victim]);
        await until(() => !lives(victim) && server.workers().length === 3, 'another worker', 10_000);
        await sleep(500);
        for (const { text } of await all()) assert.is(text, `app ${path}`);
        const homes = await Promise.all(Array.from({ length: 30 }, () => get(server.adminPort, '/')));
        for (const { text } of homes) assert.is((JSON.parse(text) as { name: string }).name, 'oo');
        await leave(url);
        const left = await get(server.adminPort, path);
        assert.equal([left.status, left.headers['retry-after']], [503, '1']);
        assert.match(left.text, 'No instance of user-svc is registered.');
      },
      { flags: ['--workers', '3'] },
    );
  },
);

journey(
  'an instance that dies without a word is out when its time is over, and the other has served all the time',
  async () => {
    const first = await startUpstream('first');
    const second = await startUpstream('second');
    await withServer(
      async (server) => {
        const { register } = registryOf(server, await tokenFor(server, 'user-svc'));
        await register(`http://${first.target}`, { ttlSeconds: 5 });
        await register(`http://${second.target}`);
        const died = performance.now();
        first.close();
        const load = startLoad(server.adminPort, 100, 'localhost', '/user-svc');
        const list = async () => (await server.ok('instance', 'ls', '-o', 'json')).out;
        while ((await list()).includes(first.target)) {
          assert.ok(performance.now() - died < 15_000, 'it is still listed after 15 s');
          await sleep(250);
        }
        const samples = await load.stop();
        assert.ok(samples.length > 100);
        const failed = samples.filter(({ text }) => text !== 'second');
        assert.equal(failed.slice(0, 3), [], `${failed.length} of ${samples.length} failed`);
      },
      { flags: ['--workers', '2'] },
    );
  },
);

journey('instances come and go at 300 requests/s: none fails', async () => {
  await withServer(
    async (server) => {
      const { register, leave } = registryOf(server, await tokenFor(server, 'user-svc'));
      const apps = await Promise.all(
        ['a', 'b', 'c'].map((name) => startUpstream((_, response) => setTimeout(() => response.end(name), 20))),
      );
      const urls = apps.map(({ target }) => `http://${target}`);
      await register(urls[0]);
      const load = startLoad(server.adminPort, 300, 'localhost', '/user-svc/x');
      for (let round = 1; round < 7; round++) {
        await register(urls[round % 3]);
        await sleep(300);
        await leave(urls[(round - 1) % 3]);
        await sleep(200);
      }
      const samples = await load.stop();
      const failed = samples.filter(({ status }) => status !== 200);
      assert.ok(samples.length > 300);
      assert.equal(failed.slice(0, 3), [], `${failed.length} of ${samples.length} failed`);
      assert.equal([...new Set(samples.map(({ text }) => text))].sort(), ['a', 'b', 'c']);
    },
    { flags: ['--workers', '2'] },
  );
});

journey.run();
