import { createServer } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { askUrl, isOrderable } from '../../src/certs/on-demand.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { fakeCertificate, fakeIssuer, refusal } from '../helpers/fake-issuer.ts';
import { type ManageOptions, manage, routesOf } from '../helpers/manage.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';
import { within } from '../helpers/wait.ts';

const onDemand = suite('certificates on demand');
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

async function visited(options: ManageOptions & { says?: (name: string) => Promise<boolean>; perHour?: number } = {}) {
  const asked: string[] = [];
  const ask = async (name: string) => {
    asked.push(name);
    return options.says?.(name) ?? true;
  };
  const settings = { onDemand: { ask, perHour: options.perHour ?? 100 }, ...options.settings };
  const managed = await manage({ routes: ['*.example.com', 'a.example.com'], ...options, settings });
  await managed.it.settled();
  managed.ca.orders.length = 0;
  return { ...managed, asked };
}

onDemand('a host under a wildcard route, after the ask URL’s yes: true when it is served', async () => {
  const { it, asked, published, ca } = await visited();
  assert.is(await it.askOnDemand('x.example.com'), true);
  assert.ok(published.has('x.example.com'));
  assert.equal(asked, ['x.example.com']);
  assert.is(ca.orders.length, 1);
  assert.is(await it.askOnDemand('x.example.com'), true);
  assert.is(ca.orders.length, 1, 'what is there is not ordered again');
  await it.stop();
});

onDemand('a no is a no, and is remembered for a moment', async () => {
  let says = false;
  const { it, asked, ca, clock } = await visited({ says: async () => says });
  assert.is(await it.askOnDemand('x.example.com'), false);
  says = true;
  assert.is(await it.askOnDemand('x.example.com'), false);
  assert.equal([asked.length, ca.orders.length], [1, 0]);
  await clock.advance(31 * second);
  assert.is(await it.askOnDemand('x.example.com'), true);
  await it.stop();
});

onDemand('nobody is asked for what no wildcard serves, or what is no name', async () => {
  const { it, asked, ca } = await visited({ routes: ['*.example.com', '*.x.test', 'own.example.com'] });
  const names = [
    'example.com',
    'a.b.example.com',
    'own.example.com',
    'other.org',
    'a.x.test',
    '',
    '.',
    '127.0.0.1',
    '::1',
  ];
  names.push('*.example.com', 'A.example.com', 'a.example.com.', 'a_b.example.com', '-a.example.com', 'a-.example.com');
  names.push(
    `${'a'.repeat(64)}.example.com`,
    'a\0.example.com',
    'a b.example.com',
    'ä.example.com',
    'a.example.com:443',
    'x/../y.example.com',
  );
  for (const name of names) assert.is(await it.askOnDemand(name), false, name);
  assert.equal([asked, ca.orders], [[], []]);
  await it.stop();
});

onDemand('never without an ask URL', async () => {
  const { it, ca } = await manage({ routes: ['*.example.com', '*'] });
  assert.is(await it.askOnDemand('x.example.com'), false);
  assert.equal(ca.orders, []);
  await it.stop();
});

onDemand('under * any name; local ones from the local CA', async () => {
  const { it, published, local } = await visited({ routes: ['*'] });
  assert.is(await it.askOnDemand('x.example.org'), true);
  assert.is(await it.askOnDemand('x.test'), true);
  assert.equal([...published.keys()].sort(), ['x.example.org', 'x.test']);
  assert.equal(
    local.orders.map(({ id }) => id),
    ['x.test'],
  );
  await it.stop();
});

onDemand('one flight for many visitors', async () => {
  const { it, asked, ca } = await visited();
  const answers = await Promise.all(Array.from({ length: 50 }, () => it.askOnDemand('x.example.com')));
  assert.ok(answers.every((yes) => yes));
  assert.equal([asked.length, ca.orders.length], [1, 1]);
  await it.stop();
});

onDemand('a limit per hour', async () => {
  const { it, ca, lines, clock } = await visited({ perHour: 3 });
  const answers: boolean[] = [];
  for (let i = 0; i < 6; i++) answers.push(await it.askOnDemand(`h${i}.example.com`));
  assert.equal(answers, [true, true, true, false, false, false]);
  assert.is(ca.orders.length, 3);
  assert.is(
    lines.filter((line) => line.includes('limit of certificates on demand')).length,
    1,
    'and no flood of lines',
  );
  await clock.advance(hour + second);
  assert.is(await it.askOnDemand('h9.example.com'), true);
  await it.stop();
});

onDemand('strangers’ names at one time are bounded', async () => {
  const { it, asked } = await visited({ says: () => new Promise(() => {}) });
  const answers = Array.from({ length: 1000 }, (_, i) => it.askOnDemand(`h${i}.example.com`));
  assert.is(await answers[999], false);
  assert.ok(asked.length <= 100);
  await it.stop();
});

onDemand('an ask URL that does not answer, or fails, is a no, in bounded time; it is said once a minute', async () => {
  const { it, clock, lines } = await visited({ says: () => new Promise(() => {}) });
  const answer = it.askOnDemand('x.example.com');
  await clock.advance(6 * second);
  assert.is(await within(answer, 'the answer'), false);
  assert.match(
    lines.at(-1)!,
    /certificate x\.example\.com: on demand: refused: the ask URL could not be asked: no answer within 5 seconds/,
  );
  await it.stop();
  const failing = await visited({
    says: () => Promise.reject(new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') })),
  });
  for (let i = 0; i < 20; i++) assert.is(await failing.it.askOnDemand(`h${i}.example.com`), false);
  assert.is(failing.lines.filter((line) => line.includes('fetch failed: ECONNREFUSED')).length, 1);
  await failing.it.stop();
});

onDemand(
  'after a failure the CA is left alone; visitors are answered at once; nothing is left of strangers’ names',
  async () => {
    const ca = fakeIssuer();
    ca.onIssue = ({ id }) => {
      if (id === 'x.example.com') throw refusal();
    };
    const { it, clock, store } = await visited({ ca });
    assert.is(await it.askOnDemand('x.example.com'), false);
    assert.is(await it.askOnDemand('x.example.com'), false);
    assert.is(ca.orders.length, 1);
    assert.is(it.status('x.example.com'), undefined);
    await clock.advance(2 * day);
    assert.is(ca.orders.length, 1, 'it is not tried for without a visitor');
    it.routesChanged(routesOf(['*.example.com', 'a.example.com']));
    await it.settled();
    assert.is(store.statesById.has('x.example.com'), false);
    await it.stop();
  },
);

onDemand('they are renewed, after a restart, too, as long as a route and the ask URL let them', async () => {
  const clock = fakeClock();
  let says = true;
  const old = (id: string) => fakeCertificate({ id, now: clock.now() - 80 * day });
  const store = memoryCertificateStore(old('x.example.com'), old('y.example.org'));
  const { it, published, asked } = await visited({ clock, store, says: async () => says });
  assert.equal(asked, ['x.example.com']);
  assert.is(store.certificates.get('x.example.com')?.notBefore, clock.now());
  assert.is(store.certificates.get('y.example.org')?.notBefore, clock.now() - 80 * day);
  const { key } = published.get('x.example.com')!;
  says = false;
  await clock.advance(80 * day);
  assert.is(published.get('x.example.com')?.key, key);
  await it.stop();
});

onDemand('where another server has got it, it is taken from there', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore();
  const one = await visited({ clock, store, settings: { shared: true } });
  const two = await visited({ clock, store, settings: { shared: true } });
  assert.is(await one.it.askOnDemand('x.example.com'), true);
  assert.is(await two.it.askOnDemand('x.example.com'), true);
  assert.is(two.ca.orders.length, 0);
  assert.is(two.published.get('x.example.com')?.key, one.published.get('x.example.com')?.key);
  await one.it.stop();
  await two.it.stop();
});

onDemand('the ask URL gets the name as domain; 200 is yes, all else is no, a redirect, too', async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url!);
    const code = Number(new URL(request.url!, 'http://x').searchParams.get('code'));
    response.writeHead(code, { location: '/yes?code=200' }).end('x'.repeat(100_000));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const says = (code: number) =>
    askUrl(`http://127.0.0.1:${port}/may?code=${code}`)('a.example.com', AbortSignal.timeout(5_000));
  assert.equal(await Promise.all([200, 404, 403, 204, 302, 500].map(says)), [true, false, false, false, false, false]);
  assert.ok(seen.includes('/may?code=200&domain=a.example.com'), seen.join());
  assert.is(seen.length, 6);
  server.closeAllConnections();
  server.close();
});

onDemand('which names could have a certificate', () => {
  for (const name of ['a.example.com', 'xn--bcher-kva.example', 'localhost', '1.example.com', 'a-b.c'])
    assert.ok(isOrderable(name), name);
});

onDemand(
  'a name whose order failed uses up no more of the limit, and is not asked about, until its next attempt is due',
  async () => {
    const ca = fakeIssuer();
    ca.onIssue = ({ id }) => {
      if (id === 'bad.example.com') throw refusal();
    };
    const { it, asked, clock } = await visited({ ca, perHour: 3, routes: ['*.example.com'] });
    for (let i = 0; i < 10; i++) {
      assert.is(await it.askOnDemand('bad.example.com'), false);
      await clock.advance(2 * second);
    }
    assert.equal([asked.length, ca.orders.length], [1, 1]);
    assert.is(await it.askOnDemand('good.example.com'), true);
    await clock.advance(2 * minute);
    await it.askOnDemand('bad.example.com');
    assert.is(ca.orders.length, 3, 'it is tried again when it is due');
    await it.stop();
  },
);

onDemand(
  'one that the ask URL no longer grants says so, is left to expire, and had anew by a visitor when it is granted again',
  async () => {
    let says = true;
    const { it, asked, clock, lines, ca } = await visited({ routes: ['*.example.com'], says: async () => says });
    assert.is(await it.askOnDemand('x.example.com'), true);
    says = false;
    await clock.advance(80 * day);
    assert.match(it.status('x.example.com')?.lastFailure?.message ?? '', /the ask URL does not grant/);
    assert.is(lines.filter((line) => line.includes('does not grant')).length, 1, lines.join('\n'));
    await clock.advance(11 * day);
    const before = asked.length;
    await clock.advance(day);
    assert.is(asked.length, before, 'nobody is asked for what has expired');
    says = true;
    assert.is(await it.askOnDemand('x.example.com'), true);
    assert.is(ca.orders.length, 2);
    assert.is(it.status('x.example.com')?.lastFailure, null);
    await it.stop();
  },
);

onDemand.run();
