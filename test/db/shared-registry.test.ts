import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import type { RegistryWrite } from '../../src/services/types.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { instanceOf } from './instance-of.ts';
import { certificateOf, rawKey } from './open-store.ts';

const shared = suite('db: the registry behind a URL, many servers');

async function start(count = 2) {
  const server = await startHrana(join(temporary(), 'shared.db'));
  const open = () => openDatabase({ url: server.url, encryption: { key: rawKey, stateDir: temporary() } });
  const servers = await Promise.all(Array.from({ length: count }, open));
  const stop = async () => {
    for (const { close } of servers) close();
    await server.close();
  };
  return { server, servers, stop };
}

const put = (id: string): RegistryWrite => ({ do: 'put', row: { kind: 'instance', id, value: instanceOf(id) } });

shared('writes of all servers at the same time: each is a version of its own, and none is missed', async () => {
  const { servers, stop } = await start(3);
  await Promise.all(Array.from({ length: 15 }, (_, n) => servers[n % 3].registry.write([put(`i${n}`)])));
  for (const { registry } of servers) {
    const { version, rows } = await registry.read(0);
    assert.equal([version, rows.length], [15, 15]);
    assert.is((await registry.read(14)).rows.length, 1);
  }
  await stop();
});

shared('a server that follows by version alone has in the end what the others have written', async () => {
  const { servers, stop } = await start(3);
  const [one, two, three] = servers.map(({ registry }) => registry);
  const seen = new Map<string, number>();
  let version = 0;
  let isDone = false;
  const follow = (async () => {
    for (let last = false; !last; ) {
      last = isDone;
      const changes = await three.read(version);
      if (changes.whole) seen.clear();
      for (const row of changes.rows) seen.set(row.id, (row.value as { lastHeartbeat: number }).lastHeartbeat);
      for (const { id } of changes.removed) seen.delete(id);
      version = changes.version;
    }
  })();
  for (let n = 1; n <= 25; n++) {
    const beat: RegistryWrite = {
      ...{ do: 'beat', id: `i${n - 1}`, lastHeartbeat: 1_000 + n },
      ...{ status: 'Healthy', details: '', statusSince: 1 },
    };
    await Promise.all([
      one.write([put(`i${n}`), beat]),
      two.write([{ do: 'remove', kind: 'instance', id: `i${n - 3}` }, put('same')]),
    ]);
  }
  isDone = true;
  await follow;
  const { rows } = await one.read(0);
  const stored = rows.map(({ id, value }) => [id, (value as { lastHeartbeat: number }).lastHeartbeat]);
  assert.equal([...seen].sort(), stored.sort());
  assert.ok(seen.size >= 4 && seen.size < 25, `${seen.size}`);
  await stop();
});

shared('the look is shared with routes and certificates; one that finds nothing new says so, too', async () => {
  const { server, servers, stop } = await start();
  const [one, two] = servers;
  let version = 0;
  let same = 0;
  const seen: string[] = [];
  const errors: Error[] = [];
  const fail = (error: Error) => errors.push(error);
  const stops = [
    two.registry.watch?.(
      () => version,
      async (next) => {
        seen.push(`registry ${next}`);
        version = (await two.registry.read(version)).version;
      },
      fail,
      () => {
        same += 1;
      },
    ),
    two.configuration.watch?.(
      () => 0,
      async (revision) => void seen.push(`revision ${revision}`),
      fail,
    ),
    two.certificates.watch?.(
      () => 0,
      async (next) => void seen.push(`certificates ${next}`),
      fail,
    ),
  ];
  await until(() => same >= 1, 10_000);
  await one.registry.write([put('a')]);
  await until(() => version === 1, 10_000);
  assert.equal(seen, ['registry 1'], 'neither a route nor a certificate has changed');
  const [before, sameBefore] = [server.pipelines, same];
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  const looks = server.pipelines - before;
  assert.ok(looks >= 1 && looks <= 4, `${looks} queries in 1.6 s for three watchers`);
  assert.ok(same > sameBefore);
  await one.certificates.save(certificateOf('a'));
  await until(() => seen.includes('certificates 1'), 10_000);
  server.mood('refuse');
  await until(() => errors.length === 3, 10_000);
  const quiet = same;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  assert.is(same, quiet, 'a look that failed says nothing');
  server.mood('answer');
  await one.registry.write([put('b')]);
  await until(() => version === 2, 10_000);
  for (const stopWatch of stops) stopWatch?.();
  await stop();
});

shared('an outage is one clear error, and a short one is passed over', async () => {
  const { server, servers, stop } = await start(1);
  const [{ registry }] = servers;
  // The write, and the look for why it failed.
  server.moods('refuse', 'refuse');
  await registry.write([put('a')]);
  server.mood('refuse');
  for (const work of [() => registry.write([put('b')]), () => registry.read(0)]) {
    await work().then(
      () => assert.unreachable(),
      (error) => assert.is(error.code, 'OO_STORE_UNREACHABLE'),
    );
  }
  server.mood('answer');
  assert.equal(
    (await registry.read(0)).rows.map(({ id }) => id),
    ['a'],
  );
  await stop();
});

shared.run();
