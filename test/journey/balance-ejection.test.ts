import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { until } from '../helpers/wait.ts';
import { type App, startApp } from './apps.ts';
import { ask, countTexts } from './asks.ts';
import { run, type Server, withServer } from './oo.ts';

const ejection = suite('outliers');
ejection.after.each(cleanUp);

/** Saves a route to these apps, in turn; an ejection takes so long. */
async function save(server: Server, list: readonly App[], ejectionMs: number): Promise<void> {
  const route = {
    id: 'localhost',
    target: list.map(({ url }) => url),
    balance: 'round-robin',
    outlier: { ejectionMs },
  };
  const ran = await run(['route', 'save', '-', '--state-dir', server.stateDir], { input: JSON.stringify(route) });
  assert.is(ran.code, 0, ran.err);
}

/** How many of so many requests were answered with 502. */
async function failures(server: Server, count = 200): Promise<number> {
  return (await ask(server.port, count)).filter(({ status }) => status === 502).length;
}

function apps(count: number): Promise<App[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => startApp(`${i}`)));
}

ejection(
  'one that answers 502 is left out, the log and oo status say why, and it comes back when it is well',
  async () => {
    const list = await apps(3);
    await withServer(
      async (server) => {
        await save(server, list, 3_000);
        assert.is(await failures(server), 0);
        list[1].status = 502;
        const first = await failures(server);
        assert.ok(first > 0 && first < 200 / 3, `${first} of 200 saw it`);
        await until(() => /is left out for/.test(server.err()), 'a line in the log');
        const ejectedAt = performance.now();
        assert.match(server.err(), new RegExp(`health: ${list[1].url} is left out for 3(\\.\\d)? s: .*fail`));
        assert.is(await failures(server), 0, 'nobody asks it');
        const { out } = await server.ok('status');
        const row = out.split('\n').find((line) => line.startsWith(list[1].url));
        assert.match(row ?? out, /fail/i);
        list[1].status = 200;
        // A third again, of both workers' requests.
        const share = async () => (countTexts(await ask(server.port, 150))['1 /'] ?? 0) / 150;
        while (Math.abs((await share()) - 1 / 3) > 0.05)
          assert.ok(performance.now() - ejectedAt < 12_000, 'it does not come back');
        const returned = Math.round(performance.now() - ejectedAt);
        console.log(`${first} of 200 requests met it before it was left out; back with its share after ${returned} ms`);
        assert.not.match((await server.ok('status')).out, 'ejected');
      },
      { flags: ['--workers', '2'] },
    );
  },
);

ejection('never more than half of a pool, and never the only one', async () => {
  const list = await apps(4);
  await withServer(
    async (server) => {
      await save(server, list, 60_000);
      for (const app of list) app.status = 502;
      await failures(server, 400);
      for (const app of list) app.status = 200;
      const texts = Object.keys(countTexts(await ask(server.port, 200)));
      assert.ok(texts.length >= 2, `${texts} are asked`);
      const lines = server.err().match(/is left out for/g) ?? [];
      assert.ok(lines.length >= 1 && lines.length <= 2, server.err());

      await save(server, [list[3]], 60_000);
      list[3].status = 502;
      assert.is(await failures(server, 100), 100);
      list[3].status = 200;
      assert.is(await failures(server, 20), 0, 'at once');
    },
    { flags: ['--workers', '2'] },
  );
});

ejection.run();
