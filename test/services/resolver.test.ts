import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createNameSource } from '../../src/services/name-source.ts';
import { createNameResolver } from '../../src/services/resolver.ts';
import type { AddressAnswer, Family, NameSource, Resolved } from '../../src/services/resolver-types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { type DnsAnswer, serveDns } from '../helpers/dns.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { temporary } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';

type Said = AddressAnswer | Error | 'silence';

/** A world of names that tests change, on a clock that they turn. */
function world(says: Record<string, Said> = {}) {
  const asked: string[] = [];
  const changes: Resolved[] = [];
  const lines: string[] = [];
  const clock = fakeClock();
  const hosts: Record<string, string[]> = {};
  const source: NameSource = {
    async resolve(name: string, family: Family) {
      asked.push(`${name} ${family}`);
      const answer = says[`${name} ${family}`] ?? says[name] ?? gone();
      if (answer === 'silence') return new Promise<AddressAnswer>(() => {});
      if (answer instanceof Error) throw answer;
      return answer;
    },
    async lookUp(name: string) {
      asked.push(`${name} system`);
      const answer = says[`${name} system`];
      if (answer === undefined || answer === 'silence' || answer instanceof Error) throw gone();
      return answer.addresses;
    },
    hosts: (name) => hosts[name] ?? [],
  };
  const onChange = (resolved: Resolved) => changes.push(resolved);
  const resolver = createNameResolver({ source, onChange, clock, log: (line) => lines.push(line) });
  return { resolver, says, asked, changes, lines, clock, hosts };
}

const a = (ttlSeconds: number, ...addresses: string[]): AddressAnswer => ({ addresses, ttlSeconds });
const gone = () => Object.assign(new Error('gone'), { code: 'ENOTFOUND' });
const failing = () => Object.assign(new Error('failing'), { code: 'ESERVFAIL' });

const names = suite('resolver');
names.after.each(cleanUp);

names('lazily: nothing is asked before somebody asks; then once for all who ask', async () => {
  const { resolver, asked } = world({ 'app.test 4': a(60, '10.0.0.2', '10.0.0.1'), 'app.test 6': a(30, 'fd00::1') });
  assert.equal(asked, []);
  const [one, two] = await Promise.all([resolver.resolve('App.Test.'), resolver.resolve('app.test')]);
  assert.equal(one.addresses, ['10.0.0.1', '10.0.0.2', 'fd00::1']);
  assert.is(one, two);
  assert.equal(asked, ['app.test 4', 'app.test 6']);
  await resolver.resolve('app.test');
  assert.is(asked.length, 2);
});

names('addresses are their own', async () => {
  const { resolver, asked } = world();
  for (const address of ['10.0.0.1', '::1']) assert.equal((await resolver.resolve(address)).addresses, [address]);
  assert.equal((await resolver.resolve('[::1]')).addresses, ['::1']);
  assert.equal(asked, []);
});

names('looked up again after the shortest TTL; who shuffles has not changed', async () => {
  const { resolver, says, asked, changes, clock } = world({
    'app.test 4': a(30, '10.0.0.1', '10.0.0.2'),
    'app.test 6': a(0),
  });
  await resolver.resolve('app.test');
  assert.is(changes.length, 1);
  await clock.advance(29_000);
  assert.is(asked.length, 2);
  says['app.test 4'] = a(30, '10.0.0.2', '10.0.0.1');
  await clock.advance(2_000);
  assert.is(asked.length, 4);
  assert.is(changes.length, 1);
  says['app.test 4'] = a(30, '10.0.0.3');
  await clock.advance(30_000);
  assert.equal(changes.at(-1)!.addresses, ['10.0.0.3']);
  assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.3']);
});

names('a TTL of nothing is a second, and of a week an hour', async () => {
  const { resolver, asked, clock } = world({ 'short.test 4': a(0, '10.0.0.1'), 'long.test 4': a(604_800, '10.0.0.1') });
  const { until } = await resolver.resolve('short.test');
  assert.is(until - clock.now(), 1_000);
  assert.is((await resolver.resolve('long.test')).until - clock.now(), 3_600_000);
  const before = asked.length;
  await clock.advance(5_500);
  assert.is(asked.filter((name) => name === 'short.test 4').length, 6);
  assert.ok(asked.length > before);
});

names('nobody asks for ten minutes: it is forgotten', async () => {
  const { resolver, asked, clock } = world({ 'app.test 4': a(60, '10.0.0.1') });
  await resolver.resolve('app.test');
  await clock.advance(1_200_000);
  const count = asked.length;
  assert.ok(count <= 22, `${count} look-ups`);
  await clock.advance(1_200_000);
  assert.is(asked.length, count);
  assert.is(resolver.peek('app.test'), undefined);
  await clock.flush();
  assert.ok(resolver.peek('app.test'));
});

names('stale addresses serve while look-ups fail, tried again ever more slowly', async () => {
  const { resolver, says, asked, lines, clock, changes } = world({
    'app.test 4': a(30, '10.0.0.1'),
    'app.test 6': a(0),
  });
  await resolver.resolve('app.test');
  says['app.test 4'] = failing();
  says['app.test 6'] = failing();
  await clock.advance(31_000);
  const known = resolver.peek('app.test')!;
  assert.equal(known.addresses, ['10.0.0.1']);
  assert.is(known.fault, 'DNS answers ESERVFAIL');
  const before = asked.length;
  for (let i = 0; i < 10; i++) {
    await clock.advance(60_000);
    assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.1']);
  }
  const tries = asked.slice(before).filter((name) => name === 'app.test 4').length;
  assert.ok(tries >= 18 && tries <= 26, `${tries} tries in ten minutes`);
  assert.is(changes.length, 1);
  assert.is(lines.length, 1, lines.join());
  says['app.test 4'] = a(30, '10.0.0.1');
  await clock.advance(31_000);
  assert.match(lines.at(-1)!, /resolves again/);
});

names('a name that is gone is served for a minute more', async () => {
  const { resolver, says, clock, changes } = world({ 'app.test 4': a(3_600, '10.0.0.1') });
  await resolver.resolve('app.test');
  says['app.test 4'] = gone();
  for (let i = 0; i < 12; i++) {
    await clock.advance(300_000);
    resolver.peek('app.test');
  }
  await clock.advance(30_000);
  assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.1']);
  await clock.advance(70_000);
  assert.equal(resolver.peek('app.test')!.addresses, []);
  assert.is(resolver.peek('app.test')!.fault, 'there is no such name');
  assert.equal(changes.at(-1)!.addresses, []);
});

names('a failure is kept for a second: who asks meanwhile costs nothing', async () => {
  const { resolver, says, asked, clock } = world();
  const first = await resolver.resolve('app.test');
  assert.equal(first.addresses, []);
  assert.is(first.fault, 'there is no such name');
  for (let i = 0; i < 100; i++) await resolver.resolve('app.test');
  assert.equal(asked, ['app.test 4', 'app.test 6', 'app.test system']);
  says['app.test 4'] = a(60, '10.0.0.1');
  await clock.advance(1_100);
  assert.equal((await resolver.resolve('app.test')).addresses, ['10.0.0.1']);
});

names(
  'a server that never answers for one family holds nobody up, and a family that fails keeps its addresses',
  async () => {
    const { resolver, says, clock } = world({ 'app.test 4': a(30, '10.0.0.1'), 'app.test 6': 'silence' });
    const asking = resolver.resolve('app.test');
    await clock.advance(400);
    assert.equal((await within(asking, 'the first answer')).addresses, ['10.0.0.1']);
    says['app.test 6'] = a(30, 'fd00::1');
    await clock.advance(31_000);
    assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.1', 'fd00::1']);
    says['app.test 6'] = failing();
    await clock.advance(31_000);
    assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.1', 'fd00::1']);
    says['app.test 6'] = a(0);
    await clock.advance(31_000);
    assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.1']);
  },
);

names('a name that hangs costs only its own', async () => {
  const { resolver, clock } = world({ 'hangs.test': 'silence', 'app.test 4': a(30, '10.0.0.1') });
  const hung = resolver.resolve('hangs.test');
  assert.equal((await within(resolver.resolve('app.test'), 'another name')).addresses, ['10.0.0.1']);
  await clock.advance(5_100);
  assert.is((await within(hung, 'the hung one')).fault, 'DNS does not answer');
});

names('hosts files come before DNS, the system after it; localhost is never asked for', async () => {
  const { resolver, asked, hosts } = world({ 'db.test 4': a(60, '10.0.0.1'), 'short system': a(0, '10.0.0.9') });
  hosts['db.test'] = ['127.0.0.5'];
  assert.equal((await resolver.resolve('db.test')).addresses, ['127.0.0.5']);
  assert.equal((await resolver.resolve('localhost')).addresses, ['127.0.0.1']);
  assert.equal(asked, []);
  assert.equal((await resolver.resolve('short')).addresses, ['10.0.0.9']);
});

names('stopped: no look-up more, and an answer for who still asks', async () => {
  const { resolver, asked, clock } = world({ 'app.test 4': a(5, '10.0.0.1') });
  await resolver.resolve('app.test');
  resolver.stop();
  await clock.advance(60_000);
  assert.is(asked.length, 2);
  assert.equal((await resolver.resolve('app.test')).addresses, ['10.0.0.1']);
  assert.is((await resolver.resolve('other.test')).fault, 'this server stops');
});

/** The real source, on a DNS server of the test's. */
async function real(zone: Record<string, DnsAnswer>, hostsFile = '/nonexistent') {
  const server = await serveDns(zone);
  const systemAsked: string[] = [];
  const lookUp = async (name: string) => {
    systemAsked.push(name);
    throw gone();
  };
  const source = createNameSource({ servers: [server.address], hostsFile, lookUp });
  return { server, source, systemAsked };
}

names('over UDP: all addresses of both families, with their TTL', async () => {
  const { source } = await real({ 'app.test': { addresses: ['10.0.0.1', '10.0.0.2', 'fd00::1'], ttl: 7 } });
  assert.equal(await source.resolve('app.test', 4), { addresses: ['10.0.0.1', '10.0.0.2'], ttlSeconds: 7 });
  assert.equal(await source.resolve('app.test', 6), { addresses: ['fd00::1'], ttlSeconds: 7 });
});

names('over UDP: no such name, no such record, a failure', async () => {
  const { source } = await real({ 'v4.test': { addresses: ['10.0.0.1'] }, 'bad.test': 'server-failure' });
  assert.equal(await source.resolve('v4.test', 6), { addresses: [], ttlSeconds: 0 });
  const codeOf = (name: string) => source.resolve(name, 4).then(String, (error) => error.code);
  assert.is(await codeOf('none.test'), 'ENOTFOUND');
  assert.is(await codeOf('bad.test'), 'ESERVFAIL');
});

names('over UDP: the whole way, through a change and a death of the server', async () => {
  const { server, source } = await real({ 'app.test': { addresses: ['10.0.0.1'], ttl: 1 } });
  const changes: Resolved[] = [];
  const resolver = createNameResolver({ source, onChange: (resolved) => changes.push(resolved), log: () => {} });
  assert.equal((await within(resolver.resolve('app.test'), 'the first answer')).addresses, ['10.0.0.1']);
  server.zone.set('app.test', { addresses: ['10.0.0.2'], ttl: 1 });
  // The resolver's own timers keep no process up: this wait does.
  await until(() => changes.at(-1)!.addresses[0] === '10.0.0.2', 'the change is seen');
  server.close();
  await until(() => resolver.peek('app.test')!.fault !== '', 'the failure is seen', 20_000);
  assert.equal(resolver.peek('app.test')!.addresses, ['10.0.0.2']);
  resolver.stop();
});

names('a hosts file is read, and read again when it has changed', async () => {
  const file = join(temporary(), 'hosts');
  const { source } = await real({}, file);
  assert.equal(source.hosts('db.test'), []);
  writeFileSync(file, '127.0.0.1 localhost\n10.0.0.5\tDB.test db # old\n# 10.0.0.6 no.test\nnonsense db.test\n');
  assert.equal(source.hosts('db.test'), ['10.0.0.5']);
  assert.equal(source.hosts('no.test'), []);
  writeFileSync(file, '10.0.0.7 db.test\n::1 db.test extra\n');
  assert.equal(source.hosts('db.test'), ['10.0.0.7', '::1']);
});

names('the system is asked by two at a time', async () => {
  let running = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const lookUp = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running -= 1;
    return ['10.0.0.1'];
  };
  const source = createNameSource({ lookUp });
  const asking = Array.from({ length: 150 }, (_, i) =>
    source.lookUp(`n${i}`).then(
      () => true,
      () => false,
    ),
  );
  const settled = Promise.all(asking);
  for (let done = false; !done; ) {
    ends.shift()?.();
    done = await Promise.race([settled.then(() => true), new Promise<false>((r) => setImmediate(() => r(false)))]);
  }
  assert.is(most, 2);
  assert.is((await settled).filter(Boolean).length, 102, 'two, and a hundred that waited');
});

names.run();
