import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { noKey } from '../../src/core/balance-pick.ts';
import { hashText } from '../../src/core/hash.ts';
import { requestPlan } from '../../src/core/headers.ts';
import { compilePoolSpec } from '../../src/core/pool-compile.ts';
import type { PoolOptions } from '../../src/core/pool-types.ts';
import { askedOf, type Choosing, chooseFor } from '../../src/edge/choice.ts';
import { defaultEdgeSettings } from '../../src/edge/settings.ts';
import { RequestScanner } from '../../src/http1/scan.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';

const choice = suite('choice');
choice.after.each(cleanUp);

const scanner = new RequestScanner(requestPlan(false), defaultEdgeSettings);
const fail = (field: string, message: string) => assert.unreachable(`${field}: ${message}`);

function poolOf(options: PoolOptions, sides: Record<string, 'main' | 'canary'> = {}): Choosing {
  const spec = compilePoolSpec('route a', 'route', ['http://127.0.0.1:1', 'http://127.0.0.1:2'], options, fail);
  return { asked: askedOf(spec), sideOf: (token) => sides[token] };
}

/** What is chosen for a request with these fields. */
function choose(pool: Choosing, fields: string, random = 0.5, picking = pool) {
  // Not at the buffer's start: as in a read with several requests.
  const before = 'xx';
  const head = Buffer.from(`${before}GET /x HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`, 'latin1');
  assert.is(scanner.scan(head, before.length, head.length), 1 as number);
  return chooseFor(pool, picking, head, scanner, '10.0.0.9', () => random);
}

choice('a pool without options asks for nothing', () => {
  assert.is(poolOf({}).asked, null);
  assert.is(poolOf({ balance: 'least-requests', limits: { maxConnections: 1 } }).asked, null);
});

choice('hash: by the address, a header, or a cookie; without it by the address', () => {
  const byIp = poolOf({ balance: 'hash' });
  assert.is(choose(byIp, '').key, hashText('10.0.0.9'));
  const byHeader = poolOf({ balance: { policy: 'hash', by: 'header:X-Tenant' } });
  assert.is(choose(byHeader, 'X-Tenants: no\r\nx-TENANT: \t acme \r\n').key, hashText('acme'));
  assert.is(choose(byHeader, 'Not-X-Tenant: no\r\n').key, hashText('10.0.0.9'));
  assert.is(choose(byHeader, 'X-A: x-tenant: no\r\n').key, hashText('10.0.0.9'));
  const byCookie = poolOf({ balance: { policy: 'hash', by: 'cookie:sid' } });
  assert.is(choose(byCookie, 'Cookie: a=1; sid=77\r\n').key, hashText('77'));
  assert.is(choose(byCookie, 'Cookie: a=1\r\nCookie: sid=78\r\n').key, hashText('78'));
  assert.is(choose(byCookie, 'Cookie: SID=1\r\n').key, hashText('10.0.0.9'));
});

choice('the sticky cookie', () => {
  const pool = poolOf({ balance: { sticky: true } });
  assert.equal(choose(pool, 'Cookie: oo_sticky=abc\r\n'), { key: noKey, token: 'abc', canary: false });
  assert.is(choose(pool, '').token, undefined);
});

choice('the canary: by its header, or by chance', () => {
  const target = 'http://127.0.0.1:3';
  const named = poolOf({ rollout: { canary: { target, header: 'X-Canary=yes' } } });
  assert.is(choose(named, 'x-canary: yes\r\n').canary, true);
  assert.is(choose(named, 'X-Canary: no\r\nX-Canary: yes\r\n').canary, true, 'any of its lines');
  assert.is(choose(named, 'X-Canary: yes!\r\n', 0).canary, false);
  assert.is(choose(named, '', 0).canary, false);
  const any = poolOf({ rollout: { canary: { target, header: 'X-Canary' } } });
  assert.is(choose(any, 'X-Canary: whatever\r\n').canary, true);
  const part = poolOf({ rollout: { canary: { target, percent: 20 } } });
  assert.is(choose(part, '', 0.199).canary, true);
  assert.is(choose(part, '', 0.2).canary, false);
});

choice('who sticks to a side stays there, but for the header', () => {
  const rollout = { canary: { target: 'http://127.0.0.1:3', percent: 50, header: 'X-Canary' } };
  const pool = poolOf({ balance: { sticky: true }, rollout }, { old: 'main', new: 'canary' });
  assert.is(choose(pool, 'Cookie: oo_sticky=old\r\n', 0).canary, false);
  assert.is(choose(pool, 'Cookie: oo_sticky=new\r\n', 0.99).canary, true);
  assert.is(choose(pool, 'Cookie: oo_sticky=old\r\nX-Canary: 1\r\n', 0.99).canary, true);
  assert.is(choose(pool, 'Cookie: oo_sticky=unknown\r\n', 0.99).canary, false);
});

choice("over a service its settings count, and the route's canary", () => {
  const route = poolOf({ rollout: { canary: { target: 'http://127.0.0.1:3', percent: 100 } } });
  const service = poolOf({ balance: { sticky: true } });
  assert.equal(choose(route, 'Cookie: oo_sticky=a\r\n', 0.5, service), { key: noKey, token: 'a', canary: true });
  assert.equal(choose(poolOf({}), 'Cookie: oo_sticky=a\r\n', 0.5, route), {
    key: noKey,
    token: undefined,
    canary: true,
  });
});

choice('through an edge: equal headers and cookies meet one instance, others are spread', async () => {
  const origins = await Promise.all(Array.from({ length: 4 }, (_, i) => startOrigin(() => reply(`${i}`))));
  const target = origins.map((origin) => origin.target);
  for (const [by, field] of [
    ['header:X-Tenant', 'X-Tenant: '],
    ['cookie:tenant', 'Cookie: a=b; tenant='],
  ]) {
    const edge = await startEdge([{ id: '*', target, balance: { policy: 'hash', by } }]);
    const homes = new Map<string, string>();
    for (let i = 0; i < 120; i++) {
      const tenant = `t${i % 30}`;
      const { text } = await ask(edge.port, `GET / HTTP/1.1\r\nHost: a\r\n${field}${tenant}\r\n\r\n`);
      assert.is(homes.get(tenant) ?? text, text);
      homes.set(tenant, text);
    }
    assert.is(new Set(homes.values()).size, 4);
  }
});

choice('through an edge: a canary by header and by percent', async () => {
  const [main, canary] = await Promise.all(['main', 'canary'].map((name) => startOrigin(() => reply(name))));
  const edge = await startEdge([
    { id: '*', target: main.target, rollout: { canary: { target: canary.target, header: 'X-Try=1', percent: 25 } } },
  ]);
  const get = (fields = '') => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
  for (let i = 0; i < 10; i++) assert.is((await ask(edge.port, get('X-Try: 1\r\n'))).text, 'canary');
  let tried = 0;
  for (let i = 0; i < 400; i++) if ((await ask(edge.port, get())).text === 'canary') tried++;
  // 100 expected; six standard deviations are 52.
  assert.ok(tried > 48 && tried < 152, `${tried} of 400`);
});

choice.run();
