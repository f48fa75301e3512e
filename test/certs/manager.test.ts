import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { localRootId } from '../../src/certs/wanted.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { fakeCertificate, fakeIssuer, refusal } from '../helpers/fake-issuer.ts';
import { manage, routesOf } from '../helpers/manage.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';

const manager = suite('certificate manager');
const day = 86_400_000;

manager('each host that a route names gets a certificate, by a path, too; stored and served', async () => {
  const { it, ca, local, published, store, lines, events } = await manage({
    routes: ['a.example.com', 'b.example.com/api', 'c.test'],
  });
  await it.settled();
  assert.equal(ca.orders.map(({ id }) => id).sort(), ['a.example.com', 'b.example.com']);
  assert.equal(
    local.orders.map(({ id }) => id),
    ['c.test'],
  );
  assert.equal([...published.keys()].sort(), ['a.example.com', 'b.example.com', 'c.test']);
  assert.equal([...store.certificates.keys()].sort(), ['a.example.com', 'b.example.com', 'c.test']);
  assert.is(store.leases.size, 0, 'leases are given back');
  assert.is(
    lines.filter((line) => /^certificate \S+: issued by Fake CA, valid for 90 days; renewal in/.test(line)).length,
    3,
  );
  assert.equal(
    events.map(({ type }) => type),
    ['saved', 'saved', 'saved'],
  );
  await it.stop();
});

manager('a route that comes later gets its certificate; one that is known is not ordered again', async () => {
  const { it, ca } = await manage({ routes: ['a.example.com'] });
  await it.settled();
  it.routesChanged(routesOf(['a.example.com', 'b.example.com']));
  await it.settled();
  assert.equal(
    ca.orders.map(({ id }) => id),
    ['a.example.com', 'b.example.com'],
  );
  await it.stop();
});

manager(
  'what is stored is served from the start, unexpired, whether a route names it or not; nothing is ordered',
  async () => {
    const clock = fakeClock();
    const now = clock.now();
    const store = memoryCertificateStore(
      fakeCertificate({ id: 'a.example.com', now }),
      fakeCertificate({ id: 'gone.example.com', now }),
      fakeCertificate({ id: localRootId, now, directory: 'local' }),
    );
    const { it, ca, published } = await manage({ clock, store, routes: ['a.example.com'], start: true });
    assert.equal([...published.keys()], ['a.example.com', 'gone.example.com']);
    await it.settled();
    assert.equal(ca.orders, []);
    assert.equal(
      it
        .list()
        .map(({ id, wanted }) => `${id} ${wanted}`)
        .sort(),
      ['a.example.com true', 'gone.example.com false'],
    );
    await it.stop();
  },
);

manager('all that is stored is checked at start, asked for or not: what is due is renewed', async () => {
  const clock = fakeClock();
  const now = clock.now();
  const old = (id: string) => fakeCertificate({ id, now: now - 80 * day });
  const store = memoryCertificateStore(old('a.example.com'), old('gone.example.com'));
  const { it, ca, published } = await manage({ clock, store, routes: ['a.example.com'] });
  await it.settled();
  assert.equal(
    ca.orders.map(({ id, replaces }) => [id, replaces?.id]),
    [['a.example.com', 'a.example.com']],
  );
  assert.is(published.get('a.example.com')?.key, store.certificates.get('a.example.com')?.key);
  assert.is(store.certificates.get('a.example.com')?.createdAt, now - 80 * day, 'it is the same certificate, newer');
  await it.stop();
});

manager('fifty at once, ten at a time', async () => {
  const clock = fakeClock();
  const ca = fakeIssuer();
  ca.onIssue = () => new Promise<void>((resolve) => clock.after(1_000, resolve));
  const routes = Array.from({ length: 50 }, (_, i) => `h${i}.example.com`);
  const { it, published } = await manage({ clock, ca, routes });
  await clock.advance(10_000);
  assert.is(published.size, 50);
  assert.is(ca.atOnce, 10);
  await it.stop();
});

manager('an expired one is served only where nothing else covers its name', async () => {
  const clock = fakeClock();
  const now = clock.now();
  const store = memoryCertificateStore(
    fakeCertificate({ id: 'a.example.com', now: now - 100 * day }),
    fakeCertificate({ id: 'b.example.org', now: now - 100 * day }),
    fakeCertificate({ id: '*.example.com', now }),
    fakeCertificate({ id: 'soon.example.com', now: now - 90 * day + 60_000 }),
  );
  const { it, published } = await manage({ clock, store });
  assert.equal([...published.keys()].sort(), ['*.example.com', 'b.example.org', 'soon.example.com']);
  await clock.advance(61_000);
  assert.equal([...published.keys()].sort(), ['*.example.com', 'b.example.org']);
  await it.stop();
});

manager(
  'a certificate of one’s own takes the place of the automatic one, and it comes back when that is removed',
  async () => {
    const { it, ca, published, clock } = await manage({ routes: ['a.example.com'] });
    await it.settled();
    const own = fakeCertificate({
      id: 'mine',
      names: ['a.example.com'],
      source: 'saved',
      now: clock.now(),
      directory: '',
    });
    await it.save(own);
    assert.equal([...published.keys()], ['mine']);
    assert.is(it.status('a.example.com')?.wanted, false);
    assert.is(await it.remove('mine'), true);
    await it.settled();
    assert.equal([...published.keys()], ['a.example.com']);
    assert.is(ca.orders.length, 1);
    assert.is(await it.remove('mine'), false);
    await it.stop();
  },
);

manager('nothing is ordered for what a certificate of one’s own covers, until it is about to expire', async () => {
  const clock = fakeClock();
  const own = fakeCertificate({
    id: 'a.example.com',
    source: 'saved',
    now: clock.now(),
    lifetimeMs: 10 * day,
    directory: '',
  });
  const { it, ca, published } = await manage({
    clock,
    store: memoryCertificateStore(own),
    routes: ['a.example.com/x'],
  });
  await clock.advance(8.9 * day);
  assert.equal(ca.orders, []);
  await clock.advance(0.2 * day);
  assert.is(ca.orders.length, 1);
  assert.is.not(published.get('a.example.com')?.key, own.key);
  await it.stop();
});

manager('a removed certificate that a route asks for is got anew', async () => {
  const { it, ca, published } = await manage({ routes: ['a.example.com'] });
  await it.settled();
  assert.is(await it.remove('a.example.com'), true);
  assert.is(published.size, 0);
  await it.settled();
  assert.is(ca.orders.length, 2);
  assert.is(published.size, 1);
  await it.stop();
});

manager('a host that is removed while its order runs: the order is dropped, nothing comes of it', async () => {
  let aborted = false;
  const ca = fakeIssuer();
  ca.onIssue = (_request, { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(new Error('aborted'));
      });
    });
  const { it, store, lines, clock } = await manage({ ca, routes: ['a.example.com'] });
  await clock.flush();
  assert.is(it.status('a.example.com')?.running?.step, 'order');
  it.routesChanged([]);
  await it.settled();
  assert.ok(aborted);
  assert.equal([store.leases.size, store.statesById.size, lines.length, it.list().length], [0, 0, 0, 0]);
  await it.stop();
});

manager('a name that joins a shared certificate has it made anew; one that leaves does not', async () => {
  const shop = (...ids: string[]) => routesOf(ids.map((id) => ({ id, certificate: 'shop' })));
  const { it, ca, clock } = await manage({ routes: shop('a.example.com') });
  await it.settled();
  it.routesChanged(shop('a.example.com', 'b.example.com'));
  await clock.advance(60_000);
  assert.equal(
    ca.orders.map(({ names }) => names.join()),
    ['a.example.com', 'a.example.com,b.example.com'],
  );
  it.routesChanged(shop('b.example.com'));
  await clock.advance(60_000);
  assert.is(ca.orders.length, 2);
  await it.stop();
});

manager('another kind of key is another certificate; the first stays until it expires', async () => {
  const { it, published } = await manage({ routes: ['a.example.com'] });
  await it.settled();
  it.routesChanged(routesOf([{ id: 'a.example.com', keyType: 'rsa' }]));
  await it.settled();
  assert.equal([...published.keys()].sort(), ['a.example.com', 'a.example.com+rsa']);
  assert.equal([it.status('a.example.com')?.wanted, it.status('a.example.com+rsa')?.wanted], [false, true]);
  await it.stop();
});

manager('one from another CA than is set now is replaced, once; that CA is not told of it', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore(
    fakeCertificate({ id: 'a.example.com', now: clock.now() - day, directory: 'https://staging.example/directory' }),
  );
  const { it, ca } = await manage({ clock, store, routes: ['a.example.com'] });
  await clock.advance(day);
  assert.equal(
    ca.orders.map(({ replaces }) => replaces),
    [undefined],
  );
  await it.stop();
});

manager('two servers that are set to different CAs do not replace each other’s for ever', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore();
  const settings = { shared: true };
  const routes = ['a.example.com'];
  const one = await manage({ clock, store, settings, routes, ca: fakeIssuer('https://one.example/') });
  const two = await manage({ clock, store, settings, routes, ca: fakeIssuer('https://two.example/') });
  for (let i = 0; i < 100; i++) {
    await clock.advance(60_000);
    await one.it.poll();
    await two.it.poll();
  }
  assert.ok(one.ca.orders.length + two.ca.orders.length <= 2);
  await one.it.stop();
  await two.it.stop();
});

manager('why a name gets none is said once, and to who asks', async () => {
  const { it, lines } = await manage({ routes: ['*.example.com'] });
  it.routesChanged(routesOf(['*.example.com', 'a.example.com']));
  await it.settled();
  assert.is(lines.filter((line) => line.startsWith('certificate *.example.com: none is ordered: CAs give')).length, 1);
  assert.is(it.unmet()[0].name, '*.example.com');
  await it.stop();
});

manager('the status of one: what is there, what is planned; also by a name that it covers', async () => {
  const { it, clock } = await manage({ routes: [{ id: 'a.example.com/x', certificate: 'shop' }] });
  await it.settled();
  const status = it.status('shop')!;
  assert.equal(
    [status.names, status.routes, status.source, status.stored],
    [['a.example.com'], ['a.example.com/x'], 'acme', true],
  );
  assert.ok(status.renewAt > clock.now() + 50 * day && status.renewAt < clock.now() + 61 * day);
  assert.is(status.nextTryAt, status.renewAt);
  assert.equal(it.status('a.example.com'), status);
  assert.is(it.status('other.example.com'), undefined);
  await it.stop();
});

manager('start rejects where the store can’t be read, and nothing runs', async () => {
  const { it, store, ca, clock } = await manage({ start: false });
  store.failure = new Error('the key is wrong');
  let message = '';
  await it.start(routesOf(['a.example.com'])).catch((error) => {
    message = error.message;
  });
  assert.is(message, 'the key is wrong');
  await clock.advance(day);
  assert.equal(ca.orders, []);
});

manager('stop ends what runs, gives leases back, answers who waits; the next start takes it up', async () => {
  const store = memoryCertificateStore();
  const clock = fakeClock();
  const ca = fakeIssuer();
  ca.onIssue = () => new Promise(() => {});
  const { it } = await manage({ store, clock, ca, routes: ['a.example.com'] });
  await clock.flush();
  const begun = await it.renew('a.example.com');
  await it.stop();
  assert.is(store.leases.size, 0);
  assert.ok(begun.kind === 'begun' && 'failure' in (await begun.done));
  const next = await manage({ store, clock, routes: ['a.example.com'] });
  await next.it.settled();
  assert.is(next.published.size, 1);
  await next.it.stop();
});

manager('a killed server’s lease ends; with the same holder it is taken up at once', async () => {
  for (const holder of ['same', undefined]) {
    const store = memoryCertificateStore();
    const clock = fakeClock();
    store.leases.set('certificate a.example.com', { holder: 'same', until: clock.now() + 30_000 });
    const { it, published } = await manage({ store, clock, settings: { holder }, routes: ['a.example.com'] });
    await it.settled();
    assert.is(published.size, holder === 'same' ? 1 : 0);
    await clock.advance(35_000);
    assert.is(published.size, 1);
    await it.stop();
  }
});

manager('a visitor waits for a certificate that is being got, and for no other', async () => {
  const clock = fakeClock();
  const ca = fakeIssuer();
  ca.onIssue = () => new Promise<void>((resolve) => clock.after(5_000, resolve));
  const { it } = await manage({ clock, ca, routes: ['a.example.com'] });
  await clock.flush();
  assert.is(await it.askOnDemand('b.example.com'), false);
  const answer = it.askOnDemand('a.example.com');
  await clock.advance(6_000);
  assert.is(await answer, true);
  ca.onIssue = () => new Promise(() => {});
  it.routesChanged(routesOf(['c.example.com']));
  await clock.flush();
  const never = it.askOnDemand('c.example.com');
  await clock.advance(26_000);
  assert.is(await never, false);
  ca.onIssue = () => {
    throw refusal();
  };
  it.routesChanged(routesOf(['d.example.com']));
  await clock.advance(1_000);
  assert.is(await it.askOnDemand('d.example.com'), false, 'after a failure nobody waits');
  await it.stop();
});

manager('routes that take long to look at are looked at less often, and the last change is not lost', async () => {
  const clock = fakeClock();
  const { it, ca } = await manage({ clock });
  let looks = 0;
  const slow = (id: string) => ({
    ...routesOf([id])[0],
    get keyType() {
      looks += 1;
      clock.jump(100);
      return undefined;
    },
  });
  it.routesChanged([slow('a.example.com')]);
  for (let i = 0; i < 50; i++) it.routesChanged([slow(`h${i}.example.com`)]);
  await clock.flush();
  assert.ok(looks <= 2, String(looks));
  await clock.advance(5_000);
  assert.ok(looks <= 4, String(looks));
  assert.is(ca.orders.at(-1)?.id, 'h49.example.com');
  await it.stop();
});

manager('nothing takes the local CA’s root away: no removal, no certificate, no route of its name', async () => {
  const clock = fakeClock();
  const root = fakeCertificate({ id: localRootId, now: clock.now(), directory: 'local' });
  const { it, store, local } = await manage({ clock, store: memoryCertificateStore(root), routes: [localRootId] });
  await it.settled();
  assert.is(await it.remove(localRootId), false);
  let message = '';
  await it.save(fakeCertificate({ id: localRootId, source: 'saved', now: clock.now() })).catch((error) => {
    message = error.message;
  });
  assert.match(message, /local CA's own/);
  assert.equal([store.certificates.get(localRootId), local.orders.length], [root, 0]);
  assert.match(it.unmet()[0].reason, /local CA keeps its own/);
  await it.stop();
});

manager.run();
