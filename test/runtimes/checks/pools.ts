import { reply, startOrigin } from '../../helpers/origin.ts';
import { sleep } from '../../helpers/wait.ts';
import { freePort } from '../../journey/oo.ts';
import { ask, type Group, hold, limit, see } from '../check.ts';
import type { CheckRoute, Subject } from '../runtime.ts';

const named = (name: string) => startOrigin(({ text }) => reply(`${name} ${text}`.trim()));
const dead = async () => `http://127.0.0.1:${await freePort()}`;

/** @returns how many answers had which text */
async function count(subject: Subject, times: number, path = '/'): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const { status, text } = await ask(subject, path);
    const key = status === 200 ? text : `${status}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

const two = (a: string, b: string, more: Partial<CheckRoute> = {}): CheckRoute => ({
  ...{ id: 'app.test', target: [a, b], balance: { policy: 'round-robin' }, outlier: false },
  ...more,
});

export const pools: Group = {
  title: 'Several targets',
  checks: [
    {
      name: 'by weight',
      async run(subject) {
        const [a, b] = await Promise.all([named('a'), named('b')]);
        await subject.use({
          ...{ id: 'app.test', balance: { policy: 'random' } },
          target: [{ url: a.target, weight: 3 }, b.target],
        });
        const got = await count(subject, 120);
        see((got.a ?? 0) + (got.b ?? 0), 120, 'answers');
        // 90 are expected; 5 standard deviations are 24.
        hold(got.a > 66 && got.a < 114, `${got.a} of 120 for a weight of 3 in 4`);
      },
    },
    {
      name: 'in turn',
      async run(subject) {
        const [a, b] = await Promise.all([named('a'), named('b')]);
        await subject.use(two(a.target, b.target));
        see(await count(subject, 20).then((got) => [got.a, got.b]), [10, 10], 'answers');
      },
    },
    {
      name: 'one that is not there: requests go on',
      async run(subject) {
        const origin = await named('live');
        await subject.use(two(await dead(), origin.target));
        see(await count(subject, 6), { live: 6 }, 'answers to GET');
      },
    },
    {
      name: 'one that is not there: a POST with a body goes on, none of it was sent',
      async run(subject) {
        const origin = await named('live');
        await subject.use(two(await dead(), origin.target));
        const texts: string[] = [];
        for (let i = 0; i < 4; i++) texts.push((await ask(subject, '/', { method: 'POST', body: 'b' })).text);
        see(texts, ['live b', 'live b', 'live b', 'live b'], 'answers');
      },
      cannot: limit(
        'it has one word for all, so that some of it may have been sent: 502',
        /OO_UPSTREAM_CLOSED/,
        'workerd',
      ),
    },
    {
      name: 'one that closes: what is idempotent goes on',
      async run(subject) {
        const [live, cut] = await Promise.all([named('live'), startOrigin((_, { socket }) => void socket.end())]);
        await subject.use(two(cut.target, live.target));
        see(await count(subject, 4), { live: 4 }, 'answers to GET');
        hold(cut.requests.length > 0, 'no request at the target that closes');
      },
    },
    {
      name: 'one that closes: a POST with a body is sent once',
      async run(subject) {
        const [live, cut] = await Promise.all([named('live'), startOrigin((_, { socket }) => void socket.end())]);
        await subject.use(two(cut.target, live.target));
        const statuses: number[] = [];
        for (let i = 0; i < 4; i++) statuses.push((await ask(subject, '/', { method: 'POST', body: `${i}` })).status);
        see(live.requests.length + cut.requests.length, 4, 'requests at the targets');
        see(statuses.filter((status) => status === 502).length, cut.requests.length, 'answers 502');
        hold(cut.requests.length > 0, 'no request at the target that closes');
      },
    },
    {
      name: 'one that fails again and again is left out, and comes back',
      async run(subject) {
        let good = false;
        const live = await named('live');
        const sick = await startOrigin(() => (good ? reply('sick') : reply('no', '', '503 Down')));
        const outlier = { failures: 2, ejectionMs: 400, longestEjectionMs: 400, probation: 1, maxEjectedShare: 0.5 };
        await subject.use(two(sick.target, live.target, { outlier }));
        const ejected = () => sick.requests.length >= 2;
        for (let i = 0; i < 20 && !ejected(); i++) await ask(subject, '/');
        hold(ejected(), 'it had no two requests');
        const before = sick.requests.length;
        see(await count(subject, 6), { live: 6 }, 'answers while it is left out');
        see(sick.requests.length, before, 'requests to the one that is left out');
        good = true;
        await sleep(400);
        const back = async () => (await count(subject, 2)).sick > 0;
        let isBack = false;
        for (let i = 0; i < 30 && !isBack; i++) {
          isBack = await back();
          if (!isBack) await sleep(50);
        }
        hold(isBack, 'it did not come back');
      },
    },
    {
      name: 'one that cannot be reached is left out',
      async run(subject) {
        const live = await named('live');
        const outlier = { unreachable: 2, ejectionMs: 60_000, maxEjectedShare: 0.5 };
        await subject.use(two(await dead(), live.target, { outlier }));
        see(await count(subject, 12), { live: 12 }, 'answers');
        const { text } = await subject.explain('http://app.test/');
        hold(/eject/i.test(text), `explain knows of no ejection: ${text}`);
      },
    },
    {
      name: 'the same client stays at its target, by a hash of a field',
      async run(subject) {
        const [a, b] = await Promise.all([named('a'), named('b')]);
        const balance = { policy: 'hash', by: 'header:x-user' } as const;
        await subject.use({ id: 'app.test', target: [a.target, b.target], balance });
        const seen = new Set<string>();
        for (let user = 0; user < 12; user++) {
          const texts = new Set<string>();
          for (let i = 0; i < 3; i++) texts.add((await ask(subject, '/', { fields: `X-User: ${user}\r\n` })).text);
          see(texts.size, 1, `targets of user ${user}`);
          for (const text of texts) seen.add(text);
        }
        see(seen.size, 2, 'targets that are used');
      },
    },
    {
      name: 'priority: others are used only when those before them are gone',
      async run(subject) {
        const [first, second] = await Promise.all([named('first'), named('second')]);
        const target = [first.target, { url: second.target, priority: 1 }];
        await subject.use({ id: 'app.test', target });
        see(await count(subject, 6), { first: 6 }, 'answers');
        await subject.use({ id: 'app.test', target: [await dead(), { url: second.target, priority: 1 }] });
        see(await count(subject, 4), { second: 4 }, 'answers without the first');
      },
    },
  ],
};
