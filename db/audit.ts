import { and, desc, eq, gte, lt, sql } from 'drizzle-orm';
import type { AuditRow, AuditStore } from '../src/admin/audit.ts';
import { type Connection, database } from './connection.ts';
import { writePlain } from './plain.ts';
import { again } from './retry.ts';
import { audit } from './schema.ts';

/** The log of writes over a migrated database. Every method throws StoreError. */
export function createAuditStore(connection: Connection): AuditStore {
  const reads = database(connection, 'read');
  return {
    async add(entries, keep) {
      const rows = JSON.stringify(
        entries.map(({ key, at, actor, from, operation, method, path, ids, status, revision }) => [
          ...[key, at, actor, from, operation, method, path, JSON.stringify(ids), status, revision],
        ]),
      );
      await writePlain(connection, (writes) => [
        // The same key again: an answer was lost.
        writes.run(sql`INSERT INTO ${audit} (key, at, actor, source, operation, method, path, ids, status, revision)
          SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9
          FROM json_each(${rows}) WHERE true ON CONFLICT (key) DO NOTHING`),
        writes.run(sql`DELETE FROM ${audit} WHERE id <= (SELECT max(id) FROM ${audit}) - ${keep}`),
      ]);
    },
    async list({ limit, before, actor, since }) {
      const wanted = and(
        before === undefined ? undefined : lt(audit.id, before),
        actor === undefined ? undefined : eq(audit.actor, actor),
        since === undefined ? undefined : gte(audit.at, since),
      );
      const rows = await again(connection, () =>
        reads.select().from(audit).where(wanted).orderBy(desc(audit.id)).limit(limit),
      );
      return rows.map(rowOf);
    },
  };
}

function rowOf({ key: _, source, ids, ...row }: typeof audit.$inferSelect): AuditRow {
  return { ...row, from: source, ids: JSON.parse(ids) };
}
