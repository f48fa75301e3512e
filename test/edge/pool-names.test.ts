// time limit: 60 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../src/core/routes.ts';
import type { Route } from '../../src/core/types.ts';
import { Edge } from '../../src/edge/edge.ts';
import { defaultEdgeSettings } from '../../src/edge/settings.ts';
import type { AddressAnswer, NameSource } from '../../src/services/resolver-types.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { Copy, countNames, KeepClient, load } from '../helpers/copies.ts';
import { listenFront } from '../helpers/front.ts';
import { sleep, until } from '../helpers/wait.ts';

const names = suite('names in pools');
names.after.each(cleanUp);

/** What DNS says, by name; a name that is not in it is none. */
class Zone implements NameSource {
  readonly addresses = new Map<string, readonly string[]>();
  readonly asked: string[] = [];
  ttlSeconds = 1;
  delayMs = 0;

  async resolve(name: string, family: 4 | 6): Promise<AddressAnswer> {
    this.asked.push(name);
    if (this.delayMs > 0) await sleep(this.delayMs);
    const all = this.addresses.get(name);
    if (all === undefined) throw Object.assign(new Error(`queryA ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
    const addresses = all.filter((address) => address.includes(':') === (family === 6));
    return { addresses, ttlSeconds: addresses.length > 0 ? this.ttlSeconds : 0 };
  }

  lookUp(): Promise<readonly string[]> {
    return Promise.reject(new Error('no such name'));
  }

  hosts(): readonly string[] {
    return [];
  }
}

async function startNamed(zone: Zone, ...routes: Route[]) {
  const errors: string[] = [];
  const edge = new Edge(defaultEdgeSettings, { access: null, error: (line) => void errors.push(line) }, zone);
  closeLater(edge);
  const compiled = compile(routes, 1);
  if ('faults' in compiled) throw new Error(compiled.faults[0].message);
  edge.table = compiled.table;
  return { edge, errors, port: await listenFront(edge) };
}

/** Copies at one port of several loopback addresses. */
async function startAt(...hosts: string[]): Promise<Copy[]> {
  const copies: Copy[] = [];
  for (const host of hosts) {
    const copy = new Copy(host);
    copy.port = copies[0]?.port ?? 0;
    copies.push(await copy.start(host));
  }
  return copies;
}

names('all addresses of a name are used, each with its part of the weight; Host stays the name', async () => {
  const [first, second, other] = await startAt('127.0.0.1', '127.0.0.2', '127.0.0.3');
  const zone = new Zone();
  zone.addresses.set('app.internal', ['127.0.0.1', '127.0.0.2']);
  const { port } = first;
  const { edge, port: at } = await startNamed(zone, {
    id: '*',
    target: [`http://app.internal:${port}`, `http://127.0.0.3:${port}`],
    balance: 'round-robin',
    hostHeader: 'upstream',
  });
  assert.is(zone.asked.length, 0, 'nothing is looked up before it is asked for');
  assert.is((await new KeepClient(at).ask('/')).status, 200);
  await until(() => edge.pools.named('route *')!.main!.members.length === 3, 'addresses');
  const before = [first, second, other].map(({ served }) => served);
  await load(at, 400, { clients: 4 });
  assert.equal(
    [first, second, other].map(({ served }, i) => served - before[i]),
    [100, 100, 200],
  );
  assert.ok(first.seen.every((line) => line.endsWith(` app.internal:${port}`)));
  const keys = edge.figures().instances.map(({ key }) => key);
  assert.ok(keys.includes(`http://app.internal:${port}@127.0.0.2`), keys.join());
});

names('other addresses take over, and connections to those that stay are kept', async () => {
  const [first, second, third] = await startAt('127.0.0.1', '127.0.0.2', '127.0.0.3');
  const zone = new Zone();
  zone.addresses.set('app.internal', ['127.0.0.1', '127.0.0.2']);
  const { edge, port } = await startNamed(zone, { id: '*', target: `http://app.internal:${first.port}` });
  const pool = () => edge.pools.named('route *')!.main!;
  await load(port, 1);
  await until(() => pool().members.length === 2, 'two addresses');
  await load(port, 100, { clients: 8 });
  const kept = pool().members.find(({ instance }) => instance.instance.address === '127.0.0.2')!.instance;
  const { open } = kept.instance;
  assert.ok(open > 0);
  zone.addresses.set('app.internal', ['127.0.0.2', '127.0.0.3']);
  await until(() => pool().members.some(({ instance }) => instance.instance.address === '127.0.0.3'), 'the new one');
  assert.is(pool().members.find(({ instance }) => instance.instance.address === '127.0.0.2')!.instance, kept);
  const before = first.served;
  const counts = countNames(await load(port, 100, { clients: 8 }));
  assert.is(first.served, before);
  assert.is(counts['127.0.0.2'] + counts['127.0.0.3'], 100);
  assert.ok(third.served > 0 && second.served > 0);
  assert.ok(kept.instance.open >= 1 && kept.instance.open <= open + 8);
  // While look-ups fail, what was known serves on.
  zone.addresses.delete('app.internal');
  await sleep(1_300);
  assert.is(countNames(await load(port, 20))['status 502'], undefined);
});

names('a name that does not resolve costs only its own route', async () => {
  const [copy] = await startAt('127.0.0.1');
  const zone = new Zone();
  zone.delayMs = 50;
  const { port, errors } = await startNamed(
    zone,
    { id: 'gone.test', target: 'http://no-such.internal:3000', retry: false },
    { id: 'app.test', target: copy.target },
  );
  const lost = new KeepClient(port).ask('/', '', 'GET', 'gone.test');
  const fine = await new KeepClient(port).ask('/');
  assert.is(fine.status, 200);
  const answer = await lost;
  assert.is(answer.status, 502);
  assert.ok(answer.head.includes('OO_CONNECT_FAILED'));
  const line = errors.findLast((each) => each.startsWith('502'))!;
  assert.match(
    line,
    /instance=http:\/\/no-such\.internal:3000 .*no-such\.internal does not resolve: there is no such name/,
  );
});

names('requests that come before the name is known wait for it, not for others', async () => {
  const [copy] = await startAt('127.0.0.1');
  const zone = new Zone();
  zone.delayMs = 200;
  zone.addresses.set('slow.internal', ['127.0.0.1']);
  const { port } = await startNamed(zone, { id: '*', target: `http://slow.internal:${copy.port}` });
  assert.equal(countNames(await load(port, 20, { clients: 20 })), { '127.0.0.1': 20 });
  assert.ok(zone.asked.length <= 2, `${zone.asked}`);
});

names('localhost is one instance, and asked of nobody', async () => {
  const zone = new Zone();
  const copy = await new Copy('here').start('127.0.0.1');
  const { port, edge } = await startNamed(zone, { id: '*', target: `http://localhost:${copy.port}` });
  assert.equal(countNames(await load(port, 10)), { here: 10 });
  assert.equal(zone.asked, []);
  assert.equal(
    edge.figures().instances.map(({ key }) => key),
    [`http://localhost:${copy.port}`],
  );
});

names('addresses alone make no resolver', async () => {
  const [copy] = await startAt('127.0.0.1');
  const zone = new Zone();
  const { port } = await startNamed(zone, { id: '*', target: copy.target });
  await load(port, 5);
  assert.equal(zone.asked, []);
});

names.run();
