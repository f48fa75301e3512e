import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AuditEntry } from '../../src/admin/audit.ts';
import { places } from './open-store.ts';

const entry = (i: number, more: Partial<AuditEntry> = {}): AuditEntry & { key: string } => ({
  ...{ key: `key ${i}`, at: i, actor: i % 2 === 0 ? 'even' : 'odd', from: 'socket', operation: 'saveRoutes' },
  ...{ method: 'PUT', path: '/v1/routes', ids: ["it's", '"b"'], status: 200, revision: null },
  ...more,
});

for (const [name, start] of places) {
  const audits = suite(`db: audit in ${name}`);

  audits('entries come back as they were, after a restart too; one that comes twice is one', async () => {
    const place = await start();
    const first = await place.open();
    await first.audit.add([entry(1, { revision: 7 }), entry(2)], 100);
    await first.audit.add([entry(2), entry(3, { status: 403, ids: [] })], 100);
    first.close();
    const { audit, close } = await place.open();
    const { key: _, ...one } = entry(1, { revision: 7 });
    const rows = await audit.list({ limit: 10 });
    assert.equal(
      rows.map(({ at }) => at),
      [3, 2, 1],
    );
    assert.equal({ ...rows[2], id: 0 }, { ...one, id: 0 });
    assert.equal([rows[0].status, rows[0].ids, rows[1].revision], [403, [], null]);
    close();
    await place.end();
  });

  audits('pages, actors, times; only the newest are kept', async () => {
    const place = await start();
    const { audit, close } = await place.open();
    await audit.add(
      Array.from({ length: 50 }, (_, i) => entry(i)),
      10,
    );
    const at = async (query: Parameters<typeof audit.list>[0]) => (await audit.list(query)).map((row) => row.at);
    assert.equal(await at({ limit: 100 }), [49, 48, 47, 46, 45, 44, 43, 42, 41, 40]);
    const [, { id }] = await audit.list({ limit: 2 });
    assert.equal(await at({ limit: 2, before: id }), [47, 46]);
    assert.equal(await at({ limit: 2, actor: 'odd' }), [49, 47]);
    assert.equal(await at({ limit: 100, since: 48 }), [49, 48]);
    assert.equal(await at({ limit: 100, actor: 'nobody' }), []);
    close();
    await place.end();
  });

  audits.run();
}
