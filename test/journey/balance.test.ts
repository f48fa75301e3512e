// exclusive
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { ask, countTexts, percentile } from './asks.ts';
import { type Server, withServer } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const balance = suite('balance');
balance.after.each(cleanUp);

/** Apps that answer with their number. */
function apps(count: number, delayMs = (_: number) => 0): Promise<Upstream[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) =>
      startUpstream(async (_, response) => {
        if (delayMs(i) > 0) await sleep(delayMs(i));
        response.end(`${i}`);
      }),
    ),
  );
}

/** Saves the route with these apps as targets, each followed by what is said of it. */
function save(server: Server, list: readonly Upstream[], flags: readonly string[], said = (_: number) => '') {
  const targets = list.flatMap(({ target }, i) => ['--target', `${target} ${said(i)}`.trim()]);
  return server.ok('route', 'save', '--id', 'localhost', ...targets, ...flags);
}

const weights = [1, 2, 7];
const total = 10;

balance('10,000 requests through all workers are shared out by the weights, within 5%', async () => {
  const list = await apps(3);
  await withServer(
    async (server) => {
      for (const policy of ['round-robin', 'power-of-two', 'least-requests', 'random']) {
        await save(server, list, ['--balance', policy], (i) => `weight=${weights[i]}`);
        const count = policy === 'round-robin' || policy === 'power-of-two' ? 10_000 : 3_000;
        // In a process's first moments on a busy machine its own pauses pass for an instance's latency.
        if (policy === 'power-of-two') await ask(server.port, 2_000);
        const counts = countTexts(await ask(server.port, count));
        const shares = weights.map((_, i) => (counts[i] ?? 0) / count);
        console.log(`${policy}: ${shares.map((share) => `${(share * 100).toFixed(1)}%`).join(' ')}`);
        // Of all requests; a worker that goes in turn is off by a few requests only.
        const most = policy === 'round-robin' ? 0.005 : 0.05;
        for (const [i, share] of shares.entries()) assert.ok(Math.abs(share - weights[i] / total) < most, policy);
      }
    },
    { flags: ['--workers', '2'] },
  );
});

balance(
  'one slow instance of three: whoever looks at load gives it clearly fewer requests than round robin',
  async () => {
    const list = await apps(3, (i) => (i === 2 ? 60 : 0));
    await withServer(
      async (server) => {
        const slow: Record<string, number> = {};
        for (const policy of ['round-robin', 'least-requests', 'power-of-two']) {
          await save(server, list, ['--balance', policy]);
          const count = policy === 'round-robin' ? 600 : 2_000;
          const answers = await ask(server.port, count);
          slow[policy] = (countTexts(answers)[2] ?? 0) / count;
          const share = `${(slow[policy] * 100).toFixed(1)}% to the slow one`;
          console.log(`${policy}: ${share}, p50 ${percentile(answers, 0.5)} ms, p99 ${percentile(answers, 0.99)} ms`);
        }
        assert.ok(Math.abs(slow['round-robin'] - 1 / 3) < 0.02);
        assert.ok(slow['least-requests'] < slow['round-robin'] / 2);
        assert.ok(slow['power-of-two'] < slow['round-robin'] / 2);
      },
      { flags: ['--workers', '2'] },
    );
  },
);

/** The Set-Cookie of an answer as a client sends it back; '' for none. */
function cookieOf({ headers }: { headers: NodeJS.Dict<string | string[]> }): string {
  return String(headers['set-cookie'] ?? '').split(';')[0];
}

balance('a sticky cookie leads to its instance, also after a restart of oo', async () => {
  const list = await apps(4);
  const stateDir = temporary();
  const clients: { cookie: string; text: string }[] = [];
  const again = async (server: Server) => {
    const answers = await ask(server.port, 200, { headersOf: (i) => ({ cookie: `a=b; ${clients[i % 20].cookie}` }) });
    const strayed = answers.filter(({ text }, i) => text !== clients[i % 20].text);
    assert.is(strayed.length, 0, 'each answer is of the instance that the cookie is of');
    assert.ok(
      answers.every((answer) => cookieOf(answer) === ''),
      'and sets none anew',
    );
  };
  const options = { stateDir, flags: ['--workers', '2'] };
  await withServer(async (server) => {
    await save(server, list, ['--sticky', 'true']);
    const answers = await ask(server.port, 20);
    clients.push(...answers.map((answer) => ({ cookie: cookieOf(answer), text: answer.text })));
    assert.ok(
      clients.every(({ cookie }) => /^oo_sticky=[\w-]{16,}$/.test(cookie)),
      clients[0].cookie,
    );
    assert.match(String(answers[0].headers['set-cookie']), /; HttpOnly/);
    assert.ok(new Set(clients.map(({ text }) => text)).size > 1, 'more than one instance');
    assert.not.ok(
      clients.some(({ cookie }) => list.some(({ port }) => cookie.includes(`${port}`))),
      'no address in it',
    );
    await again(server);
  }, options);
  await withServer(again, options);
  await withServer(async (server) => {
    // What nobody signed leads nowhere in particular, and is replaced.
    const [forged] = await ask(server.port, 1, { headersOf: () => ({ cookie: 'oo_sticky=AAAAAAAAAAAAAAAAAAAAAA' }) });
    assert.match(cookieOf(forged), /^oo_sticky=/);
    // An instance that has left: its clients get another, and a cookie for that.
    await save(server, list.slice(1), ['--sticky', 'true']);
    const lost = clients.filter(({ text }) => text === '0');
    const [moved] = await ask(server.port, 1, { headersOf: () => ({ cookie: (lost[0] ?? { cookie: 'a=b' }).cookie }) });
    assert.is.not(moved.text, '0');
    assert.match(cookieOf(moved), /^oo_sticky=/);
  }, options);
});

const keys = 400;

/** Which instance each key leads to. */
async function owners(server: Server): Promise<string[]> {
  const answers = await ask(server.port, keys, { headersOf: (i) => ({ 'x-user': `user-${i}` }) });
  return answers.map(({ text }) => text);
}

balance('hash: one of five leaves and only its keys move; a restart moves none', async () => {
  const list = await apps(5);
  const options = { stateDir: temporary(), flags: ['--workers', '2'] };
  const flags = ['--balance', 'hash', '--hash-by', 'header:x-user'];
  let before: string[] = [];
  let after: string[] = [];
  await withServer(async (server) => {
    await save(server, list, flags);
    before = await owners(server);
    assert.equal(await owners(server), before, 'the same again');
    assert.is(new Set(before).size, 5);
    await save(server, list.slice(0, 4), flags);
    after = await owners(server);
    const moved = before.filter((owner, i) => owner !== after[i]);
    console.log(
      `${moved.length} of ${keys} keys moved when one of 5 left; ${JSON.stringify(countTexts(before.map((text) => ({ text }))))}`,
    );
    assert.ok(
      moved.every((owner) => owner === '4'),
      'only those of the one that left',
    );
    // Its share, by chance a few more: four standard deviations.
    assert.ok(moved.length <= keys * (1 / 5 + 0.08), `${moved.length}`);
  }, options);
  await withServer(async (server) => {
    assert.equal(await owners(server), after, 'after a restart');
    await save(server, list, flags);
    assert.equal(await owners(server), before, 'it is back, and so are its keys');
  }, options);
});

balance.run();
