// time limit: 90 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultOutlierSettings, judgeEjection, Outlier } from '../../src/core/outlier.ts';
import type { PoolsChange, Suspicion } from '../../src/edge/messages.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { type Answer, type Copy, countNames, KeepClient, load, startCopies } from '../helpers/copies.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startEdge, type TestEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const failures = suite('pool failures');
failures.after.each(cleanUp);

const noChange: PoolsChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };
const targets = (copies: readonly Copy[]) => copies.map(({ target }) => target);
const ok = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200).length;

/** Does what the main process does with suspicions: judges, and tells. */
function judge({ edge }: TestEdge, ejectionMs: number): Suspicion[] {
  const outliers = new Map<string, Outlier>();
  const known = (key: string) => {
    const outlier = outliers.get(key) ?? new Outlier({ ...defaultOutlierSettings, ejectionMs });
    outliers.set(key, outlier);
    return outlier;
  };
  const seen: Suspicion[] = [];
  edge.onOutcomes = (counts) => {
    for (const [key, total, failed] of counts) known(key).counts.add(total, failed, performance.now());
  };
  edge.onSuspect = (suspicion) => {
    seen.push(suspicion);
    const { key, cause, pools } = suspicion;
    const members = pools.map((keys) => keys.map((each) => ({ outlier: known(each), usable: true })));
    const ejection = judgeEjection(known(key), cause, members, performance.now(), 0);
    if (ejection !== undefined) edge.changePools({ ...noChange, ejected: [[key, ejection]] }, false);
  };
  return seen;
}

failures('half of the instances die under load: no idempotent request fails, and they get none', async () => {
  const copies = await startCopies(4);
  for (const copy of copies) copy.delayMs = 5;
  const edge = await startEdge([{ id: '*', target: targets(copies) }]);
  const seen = judge(edge, 60_000);
  const running = load(edge.port, 3_000, { clients: 24 });
  await until(() => copies.reduce((sum, { served }) => sum + served, 0) > 800, '800 requests');
  copies[0].kill();
  copies[2].kill();
  assert.equal(
    Object.keys(countNames(await running)).filter((name) => name.startsWith('status')),
    [],
  );
  assert.ok(seen.length >= 2);
  const { pools } = edge.edge.figures();
  assert.is(pools[0].requests, 3_000);
  assert.is(pools[0].errors, 0);
  assert.ok(pools[0].retries > 0);
  assert.is(pools[0].inFlight, 0);
  assert.is(pools[0].members.filter(([, weight]) => weight > 0).length, 2);
  const before = copies.map(({ served }) => served);
  await load(edge.port, 200);
  assert.is(copies[0].served + copies[2].served, before[0] + before[2]);
});

failures('all die and come back: it recovers by itself', async () => {
  const copies = await startCopies(3);
  const edge = await startEdge([{ id: '*', target: targets(copies) }]);
  judge(edge, 400);
  assert.is(ok(await load(edge.port, 60)), 60);
  for (const copy of copies) copy.kill();
  const dead = countNames(await load(edge.port, 60));
  assert.equal(dead, { 'status 502': 60 });
  await Promise.all(copies.map((copy) => copy.start()));
  assert.is(ok(await load(edge.port, 100)), 100);
  // The ejections end, and all are used again.
  const before = copies.map(({ served }) => served);
  await sleep(1_000);
  assert.is(ok(await load(edge.port, 300)), 300);
  for (const [i, copy] of copies.entries()) assert.ok(copy.served > before[i], `${i}`);
});

failures('an instance that fails is ejected, never more than half, and comes back', async () => {
  const copies = await startCopies(4);
  const edge = await startEdge([{ id: '*', target: targets(copies), balance: 'round-robin' }]);
  const seen = judge(edge, 600);
  for (const copy of copies.slice(0, 3)) copy.status = 503;
  const counts = countNames(await load(edge.port, 400, { clients: 4 }));
  assert.ok(seen.length >= 3, `${seen.length} suspicions`);
  assert.is(seen[0].cause, 'failures');
  assert.equal(seen[0].pools, [copies.map(({ target }) => target).sort()]);
  const weights = new Map(edge.edge.figures().pools[0].members);
  assert.is([...weights.values()].filter((weight) => weight > 0).length, 2);
  assert.ok(counts['status 503'] > 100 && counts['3'] > 150, JSON.stringify(counts));
  for (const copy of copies) copy.status = 200;
  await sleep(1_200);
  const before = copies.map(({ served }) => served);
  assert.is(ok(await load(edge.port, 80)), 80);
  for (const [i, copy] of copies.entries()) assert.is(copy.served, before[i] + 20);
});

failures('a single instance is never suspected, and always tried', async () => {
  const [copy] = await startCopies(1);
  const edge = await startEdge([{ id: '*', target: copy.target }]);
  const seen = judge(edge, 60_000);
  copy.status = 503;
  await load(edge.port, 50);
  copy.kill();
  assert.equal(countNames(await load(edge.port, 10)), { 'status 502': 10 });
  await copy.start();
  copy.status = 200;
  edge.edge.changePools({ ...noChange, down: [copy.target] }, false);
  assert.is(ok(await load(edge.port, 10)), 10);
  assert.is(seen.length, 0);
});

failures('clients that leave never dent the health of an instance', async () => {
  const copies = await startCopies(2);
  for (const copy of copies) copy.delayMs = 5_000;
  const edge = await startEdge([{ id: '*', target: targets(copies) }]);
  const seen = judge(edge, 60_000);
  for (let i = 0; i < 30; i++) {
    const client = new KeepClient(edge.port);
    void client.ask('/');
    await until(() => copies[0].served + copies[1].served > i, 'the request');
    client.close();
  }
  await until(() => edge.edge.figures().pools[0].inFlight === 0, 'all gone');
  assert.is(seen.length, 0);
  const { instances, pools } = edge.edge.figures();
  assert.equal(instances, []);
  assert.is(pools[0].errors, 0);
  for (const { instance } of edge.edge.pools.named('route *')!.main!.members) {
    assert.is(instance.load.waiting, 0);
    assert.is(instance.load.failureShare, 0);
  }
});

failures('a request that was under way is repeated with another instance; what may not be is not', async () => {
  const copies = await startCopies(2);
  const edge = await startEdge([{ id: '*', target: targets(copies), balance: 'round-robin', outlier: false }]);
  copies[0].cuts = true;
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])
    for (let i = 0; i < 4; i++) {
      const answer = await new KeepClient(edge.port).ask('/', '', method);
      assert.is(answer.status, 200, method);
    }
  const seen = copies[0].served;
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push((await new KeepClient(edge.port).ask('/', '', 'POST')).status);
  assert.equal(statuses.sort(), [200, 200, 200, 502, 502, 502]);
  assert.is(copies[0].served, seen + 3);
});

failures('where a connection can be opened at one only, everything goes there, and POST too', async () => {
  const copies = await startCopies(2);
  const edge = await startEdge([{ id: '*', target: targets(copies), balance: 'round-robin', outlier: false }]);
  copies[0].kill();
  for (let i = 0; i < 6; i++)
    assert.is((await new KeepClient(edge.port).ask('/', 'Content-Length: 0\r\n', 'POST')).status, 200);
  assert.is(copies[1].served, 6);
});

failures('retries end with the tries, and with retry: false at once', async () => {
  const copies = await startCopies(4);
  for (const copy of copies) copy.cuts = true;
  const seen = () => copies.reduce((sum, { served }) => sum + served, 0);
  const edge = await startEdge([{ id: '*', target: targets(copies), outlier: false }]);
  assert.is((await new KeepClient(edge.port).ask('/')).status, 502);
  assert.is(seen(), 3);
  assert.is(new Set(copies.filter(({ served }) => served === 1)).size, 3);
  edge.route({ id: '*', target: targets(copies), outlier: false, retry: false });
  assert.is((await new KeepClient(edge.port).ask('/')).status, 502);
  assert.is(seen(), 4);
  edge.route({ id: '*', target: targets(copies), outlier: false, retry: { tries: 2 } });
  assert.is((await new KeepClient(edge.port).ask('/')).status, 502);
  assert.is(seen(), 6);
});

failures('when all fail, retries stay within the budget', async () => {
  const copies = await startCopies(4);
  for (const copy of copies) copy.cuts = true;
  const edge = await startEdge([{ id: '*', target: targets(copies), outlier: false, retry: { budget: 0.1 } }]);
  const started = performance.now();
  await load(edge.port, 600, { clients: 8 });
  const seconds = (performance.now() - started) / 1_000;
  const { retries } = edge.edge.figures().pools[0];
  assert.ok(retries > 10);
  // 10 a second, saved up for two, beside the tenth.
  assert.ok(retries <= 60 + 10 * (seconds + 2) + 1, `${retries} in ${seconds} s`);
});

failures('a try that takes too long goes to another instance; in all no longer than said', async () => {
  const copies = await startCopies(2);
  copies[0].delayMs = 20_000;
  const retry = { tryTimeoutMs: 200, totalTimeoutMs: 3_000 };
  const edge = await startEdge([{ id: '*', target: targets(copies), balance: 'round-robin', outlier: false, retry }]);
  for (let i = 0; i < 2; i++) {
    const answer = await new KeepClient(edge.port).ask('/');
    assert.is(answer.body, '1');
    assert.ok(answer.ms < 2_000);
  }
  copies[1].delayMs = 20_000;
  edge.route({ id: '*', target: targets(copies), outlier: false, retry: { totalTimeoutMs: 300, tries: 10 } });
  const answer = await new KeepClient(edge.port).ask('/');
  assert.is(answer.status, 504);
  assert.ok(answer.head.includes('OO_UPSTREAM_TIMEOUT'));
  assert.ok(answer.ms < 2_000);
});

failures('the head that another instance gets has its path and its Host', async () => {
  const lines: string[] = [];
  const cut = await startOrigin(({ line, get }, { socket }) => {
    lines.push(`${line} ${get('host')}`);
    socket.resetAndDestroy();
  });
  const good = await startOrigin(({ line, get }) => {
    lines.push(`${line} ${get('host')}`);
    return 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  });
  const bases: [string, string][] = [
    ['', '/much/longer'],
    ['/much/longer', ''],
    ['/a', '/b'],
    ['/same', '/same'],
  ];
  for (const hostHeader of ['client', 'upstream'] as const)
    for (const [from, to] of bases) {
      const edge = await startEdge([
        {
          id: '*',
          // The second group joins once the first has failed.
          target: [`${cut.target}${from}`, { url: `${good.target}${to}`, priority: 1 }],
          balance: { minAvailable: 0.1 },
          hostHeader,
        },
      ]);
      lines.length = 0;
      const answer = await new KeepClient(edge.port).ask('/x?y=/1', 'X-Other: 1\r\n');
      assert.is(answer.status, 200);
      const host = (port: number) => (hostHeader === 'client' ? 'app.test' : `127.0.0.1:${port}`);
      assert.equal(lines, [
        `GET ${from}/x?y=/1 HTTP/1.1 ${host(cut.port)}`,
        `GET ${to}/x?y=/1 HTTP/1.1 ${host(good.port)}`,
      ]);
      assert.match(good.text, /X-Other: 1\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/i);
      edge.close();
    }
});

failures('a breaker opens, spares the instance, and lets a probe through before it closes', async () => {
  const [copy] = await startCopies(1);
  const breaker = { failures: 5, openMs: 500, successes: 2 };
  const edge = await startEdge([{ id: '*', target: copy.target, breaker }]);
  const client = new KeepClient(edge.port);
  const state = () => edge.edge.figures().instances[0].breaker;
  copy.status = 503;
  for (let i = 0; i < 5; i++) assert.is((await client.ask('/')).status, 503);
  assert.is(state(), 'open');
  for (let i = 0; i < 5; i++) {
    const refused = await client.ask('/');
    assert.is(refused.status, 503);
    assert.ok(refused.head.includes('OO_NO_INSTANCE'), refused.head);
    assert.match(refused.head, /retry-after/i);
  }
  assert.is(copy.served, 5);
  await sleep(550);
  assert.is(state(), 'half-open');
  copy.status = 200;
  assert.is((await client.ask('/')).status, 200);
  assert.is(state(), 'half-open');
  assert.is((await client.ask('/')).status, 200);
  assert.is(state(), 'closed');
  assert.is(copy.served, 7);
});

failures('with too few healthy ones all are used, and the log says so', async () => {
  const copies = await startCopies(5);
  const edge = await startEdge([{ id: '*', target: targets(copies) }]);
  edge.edge.changePools({ ...noChange, down: targets(copies.slice(1)) }, false);
  for (const copy of copies) copy.kill();
  assert.is((await new KeepClient(edge.port).ask('/')).status, 502);
  assert.is(edge.edge.figures().pools[0].state, 'panic');
  assert.match(edge.errors.at(-1)!, /OO_CONNECT_FAILED route=\* pool=panic instance=http:\/\/127\.0\.0\.1:\d+ /);
});

failures.run();
