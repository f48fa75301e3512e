import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { createAdminApp } from '../../src/admin/app.ts';
import { createAuditLog } from '../../src/admin/audit-log.ts';
import { createEventRing } from '../../src/admin/event-ring.ts';
import { changeEvent } from '../../src/admin/event-types.ts';
import { createEventHub } from '../../src/admin/events.ts';
import { memoryAuditStore } from '../helpers/memory-audit-store.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { registryApps, serveApp } from '../helpers/registry-server.ts';
import { temporary, until } from '../helpers/temporary.ts';

const following = suite('oo audit, oo events');
const at = Date.UTC(2026, 10, 23, 9, 14, 5);

async function served() {
  const dir = temporary();
  const apps = await registryApps();
  const hub = createEventHub(() => at);
  const audit = createAuditLog({ store: memoryAuditStore(), log: () => {} });
  const state = { start: 0, ring: createEventRing(hub, '0') };
  const app = () => createAdminApp({ ...apps, version: '1', audit, events: state.ring });
  let server = await serveApp(app(), { dir });
  return {
    ...{ hub, audit },
    run: async (...argv: string[]) => {
      const io = memoryIo({ OO_STATE_DIR: dir });
      const code = await createProgram(io, '1').run(argv);
      return { code, ...io.said };
    },
    begin(...argv: string[]) {
      const io = memoryIo({ OO_STATE_DIR: dir });
      return { said: io.said, ended: createProgram(io, '1').run(argv) };
    },
    async restart() {
      state.ring.stop();
      await server.stop();
      state.start += 1;
      state.ring = createEventRing(hub, String(state.start));
      server = await serveApp(app(), { dir });
    },
    async stop() {
      state.ring.stop();
      await server.stop();
      await audit.stop();
      await apps.stop();
    },
  };
}

const entry = (i: number) => ({
  ...{ at: at + i * 1_000, actor: i % 2 === 0 ? 'cli' : 'token:tok_1', from: 'socket', operation: 'saveRoutes' },
  ...{ method: 'PUT', path: '/v1/routes', ids: ['a', 'b', 'c', 'd', 'e'].slice(0, i), status: 200, revision: i },
});

following('oo audit: a table, the newest first; by actor; as JSON; what it is given wrongly', async () => {
  const { run, audit, stop } = await served();
  assert.match((await run('audit')).err, 'Nothing');
  for (let i = 1; i <= 30; i++)
    audit.record({ ...entry(i), status: i === 30 ? 412 : 200, revision: i === 30 ? null : i });
  const { code, out } = await run('audit', '-n', '2');
  assert.is(code, 0);
  assert.equal(
    out.split('\n').map((line) => line.split(/ {2,}/)),
    [
      ['WHEN', 'WHO', 'FROM', 'WHAT', 'STATUS'],
      ['2026-11-23 09:14:35', 'cli', 'socket', 'saveRoutes a, b, c and 2 more', '412'],
      ['2026-11-23 09:14:34', 'token:tok_1', 'socket', 'saveRoutes a, b, c and 2 more', '200 @29'],
      [''],
    ],
  );
  assert.is((await run('audit')).out.split('\n').length, 22, '20 unless said otherwise');
  const all = JSON.parse((await run('audit', '--actor', 'token:tok_1', '--since', '2026-11-23', '-o', 'json')).out);
  assert.is(all.length, 15);
  assert.is((await run('audit', '-n', '0')).code, 2);
  assert.is((await run('audit', '--since', 'yesterday')).code, 2);
  await stop();
});

following('oo events: a line each, until it has as many as it was told, over a restart of the server', async () => {
  const { begin, hub, restart, stop } = await served();
  const table = begin('events', '-n', '3');
  const json = begin('events', '-n', '1', '-o', 'json', '--kind', 'certificate');
  const changes = [{ kind: 'route' as const, id: 'a.test\u001b[2J', before: null, after: { id: 'a.test' } }];
  const change = { revision: 7, at, actor: 'ann', from: '192.0.2.1', reason: 'why', changes };
  // Until both follow, nobody hears.
  await until(() => {
    if (table.said.out === '') hub.emit('change', changeEvent(change));
    return table.said.out !== '';
  }, 10_000);
  assert.match(
    table.said.out,
    /^2026-11-23 09:14:05 {2}change {7}@7 by ann from 192\.0\.2\.1: created route a\.test\?\[2J \(why\)\n/,
  );
  await restart();
  await until(() => table.said.err.includes('following again') && json.said.err.includes('following again'), 20_000);
  const health = {
    address: 'http://10.0.0.1:80',
    state: 'Unreachable',
    before: 'Healthy',
    reason: 'refused',
    owners: ['service a'],
  };
  for (let i = 0; i < 3; i++) hub.emit('health', health);
  hub.emit('certificate', { id: 'a.test', change: 'renewed', notAfter: '2027-02-21T00:00:00.000Z' });
  assert.equal([await table.ended, await json.ended], [0, 0]);
  assert.is(table.said.out.split('\n').length, 4);
  assert.is(JSON.parse(json.said.out).data.change, 'renewed');
  assert.is(json.said.out.split('\n').length, 2);
  await stop();
});

following('oo events: what it can not follow ends it at once', async () => {
  const { run, stop } = await served();
  assert.equal([(await run('events', '--kind', 'weather')).code, (await run('events', '-n', 'x')).code], [2, 2]);
  await stop();
  const { code, err } = await run('events');
  assert.is(code, 1);
  assert.match(err, 'No server is running');
});

following.run();
