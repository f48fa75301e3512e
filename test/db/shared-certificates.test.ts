import { join } from 'node:path';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import type { TicketKey } from '../../src/certs/types.ts';
import { type HranaDouble, startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { certificateOf, rawKey } from './open-store.ts';

const shared = suite('db: certificates behind a URL, many servers');

async function start(count = 2) {
  const path = join(temporary(), 'shared.db');
  const server = await startHrana(path);
  const open = () => openDatabase({ url: server.url, encryption: { key: rawKey, stateDir: temporary() } });
  const servers = await Promise.all(Array.from({ length: count }, open));
  const stop = async () => {
    for (const { close } of servers) close();
    await server.close();
  };
  return { path, server, servers, stop };
}

shared('servers that race for a lease: exactly one has it, each time', async () => {
  const { servers, stop } = await start(3);
  for (let round = 0; round < 15; round++) {
    const now = round * 100;
    const results = await Promise.all(
      servers.map(({ certificates }, i) => certificates.takeLease('n', `server ${i}`, now, now + 100)),
    );
    assert.is(results.filter(Boolean).length, 1, `round ${round}: ${results}`);
  }
  await stop();
});

shared('a lease whose answer was lost is held; one that could not be asked for is an error', async () => {
  const { server, servers, stop } = await start();
  const [one, two] = servers.map(({ certificates }) => certificates);
  server.mood('lose', 1);
  assert.is(await one.takeLease('n', 'one', 0, 100), true);
  assert.is(await two.takeLease('n', 'two', 0, 100), false);
  server.mood('refuse');
  await one.takeLease('n', 'one', 0, 100).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_UNREACHABLE'),
  );
  server.mood('answer');
  await stop();
});

shared('writes whose answers were lost are there once, and say so', async () => {
  const { server, servers, stop } = await start(1);
  const [{ certificates }] = servers;
  server.mood('lose', 1);
  const { version } = await certificates.save(certificateOf('a'));
  assert.equal((await certificates.load()).certificates, [certificateOf('a')]);
  assert.is((await certificates.load()).version, version);
  const keys: TicketKey[] = [{ key: 'k', createdAt: 1 }];
  loseNextWrite(server);
  assert.equal(await certificates.replaceTicketKeys([], keys), keys);
  server.mood('lose', 1);
  assert.is(await certificates.countOnDemand(0, 2), true);
  assert.is(await certificates.countOnDemand(1, 2), true, 'counted once');
  assert.is(await certificates.countOnDemand(2, 2), false);
  await stop();
});

shared('a removal whose answer was lost says that it was there', async () => {
  const { server, servers, stop } = await start(1);
  const [{ certificates }] = servers;
  await certificates.save(certificateOf('a'));
  loseNextWrite(server);
  assert.is((await certificates.remove('a')).removed, true);
  assert.equal((await certificates.load()).certificates, []);
  await stop();
});

/** The read before the write is answered; the answers of the write, and of the first look for it, are lost. */
function loseNextWrite(server: HranaDouble): void {
  server.moods('answer', 'lose', 'lose');
}

shared('either server finds the challenge that the other has put, until it is taken away', async () => {
  const { servers, stop } = await start();
  const [one, two] = servers.map(({ certificates }) => certificates);
  const http = { type: 'http-01', name: 'a', token: 'T', content: 'T.thumb' } as const;
  const alpn = { type: 'tls-alpn-01', name: 'a', token: 'T', chain: 'c', key: 'k' } as const;
  const now = Date.now();
  await one.putChallenge(http, now + 60_000);
  await two.putChallenge(alpn, now + 60_000);
  assert.equal(await two.findChallenge('http-01 T', now), http);
  assert.equal(await one.findChallenge('tls-alpn-01 a', now), alpn);
  await two.removeChallenge('http-01 T');
  assert.is(await one.findChallenge('http-01 T', now), undefined);
  await stop();
});

shared('ticket keys: of servers that rotate at the same time one does, and all have its keys', async () => {
  const { servers, stop } = await start(3);
  let before: readonly TicketKey[] = [];
  for (let round = 0; round < 6; round++) {
    const results: (readonly TicketKey[])[] = await Promise.all(
      servers.map(({ certificates }, i) =>
        certificates.replaceTicketKeys(before, [{ key: `${round} of ${i}`, createdAt: round }, ...before].slice(0, 3)),
      ),
    );
    for (const result of results) assert.equal(result, results[0]);
    assert.is(results[0][0].createdAt, round);
    before = results[0];
  }
  await stop();
});

shared('on-demand issuances of all servers count together', async () => {
  const { servers, stop } = await start(3);
  const all = Array.from({ length: 12 }, (_, n) => servers[n % 3].certificates.countOnDemand(n, 5));
  assert.is((await Promise.all(all)).filter(Boolean).length, 5);
  await stop();
});

shared('saves on all servers at the same time: each is a version of its own, and none is missed', async () => {
  const { servers, stop } = await start(3);
  const saves = Array.from({ length: 15 }, (_, n) => servers[n % 3].certificates.save(certificateOf(`h${n}`)));
  const versions = (await Promise.all(saves)).map(({ version }) => version);
  assert.is(new Set(versions).size, 15);
  for (const { certificates } of servers) {
    const changes = await certificates.changesSince(0);
    assert.ok(changes !== 'all' && changes.save.length === 15 && changes.version === 15);
  }
  await stop();
});

shared(
  'a change is seen by the other within 2 s; routes and certificates share the look, and neither holds the other up',
  async () => {
    const { server, servers, stop } = await start();
    const [one, two] = servers;
    const errors: Error[] = [];
    let version = 0;
    let revision = 0;
    let busy = () => {};
    const seen: string[] = [];
    const stops = [
      two.certificates.watch?.(
        () => version,
        async (next) => {
          seen.push(`version ${next}`);
          // One that takes its time.
          await new Promise<void>((resolve) => {
            busy = resolve;
          });
          version = next;
        },
        (error) => errors.push(error),
      ),
      two.configuration.watch?.(
        () => revision,
        async (next) => {
          seen.push(`revision ${next}`);
          revision = next;
        },
        (error) => errors.push(error),
      ),
    ];
    await one.certificates.save(certificateOf('a'));
    await until(() => seen.length === 1, 2_000);
    await one.configuration.commit({ base: 0, save: [{ id: 'a', target: 't' }], remove: [], actor: 'test' });
    await until(() => revision === 1, 2_000);
    assert.equal(seen, ['version 1', 'revision 1'], 'not told again while it is at it');
    busy();
    await until(() => version === 1, 2_000);
    await one.certificates.remove('a');
    await until(() => seen.includes('version 2'), 2_000);
    busy();
    const before = server.pipelines;
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    const looks = server.pipelines - before;
    assert.ok(looks >= 1 && looks <= 4, `${looks} queries in 1.6 s for two watchers`);
    server.mood('refuse');
    await until(() => errors.length === 2, 3_000);
    server.mood('answer');
    await one.certificates.save(certificateOf('b'));
    await until(() => seen.includes('version 3'), 6_000);
    busy();
    assert.is(errors.length, 2, 'one line each for one outage');
    for (const stopWatch of stops) stopWatch?.();
    const after = server.pipelines;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assert.is(server.pipelines, after, 'a watch that was stopped asks no more');
    await stop();
  },
);

shared('a watcher that fails is asked again, ever more slowly, and says so once', async () => {
  const { servers, stop } = await start();
  const [one, two] = servers;
  const errors: Error[] = [];
  let calls = 0;
  const stopWatch = two.certificates.watch?.(
    () => 0,
    async () => {
      calls += 1;
      throw new Error('no');
    },
    (error) => errors.push(error),
  );
  await one.certificates.save(certificateOf('a'));
  await until(() => calls === 2, 4_000);
  assert.is(errors.length, 1);
  stopWatch?.();
  await stop();
});

shared('a later oo that has migrated the database is noticed by a write', async () => {
  const { path, servers, stop } = await start(1);
  const [{ certificates }] = servers;
  await certificates.save(certificateOf('a'));
  const db = new Database(path);
  db.exec('UPDATE meta SET schema = 7');
  db.close();
  await certificates.save(certificateOf('b')).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_NEWER'),
  );
  await stop();
});

shared.run();
