import { randomUUID } from 'node:crypto';
import type { RestoreOptions, RestoreReport } from '../src/admin/backup.ts';
import { BackupError } from './backup-format.ts';
import type { SealKey } from './cipher.ts';
import type { Connection, SqlValue, Statement } from './connection.ts';
import { type Encryption, keyReplaced, readEncryption } from './encryption.ts';
import { isPassing, storeError } from './failure.ts';
import { keyPath, nextKeyPath, pastKeyPath, readKeyFile } from './key-file.ts';
import { currentSchema } from './migrations.ts';
import { insertions, type ReadBackup, readBackup } from './restore-file.ts';
import { backupKey, sealAgain, sealedTables } from './restore-keys.ts';
import { allRows, type Before, countOf, differenceOf, readBefore, table, valuesOf } from './restore-plan.ts';

/** How often it is planned anew since others changed the database meanwhile. */
const attempts = 5;

/** What is restored into. */
export interface RestoreTarget {
  readonly connection: Connection;
  /** Left out: the database was opened without its key. */
  readonly encryption?: Encryption;
  /** As the database was opened with. */
  readonly key?: string;
  /** Where key files are, and the backup is unpacked: on the same disk as a database in a file. */
  readonly stateDir: string;
}

/** A backup that was proven, with its private keys as this database has them. */
interface Proven extends ReadBackup {
  readonly state: Before;
  /** Rows of the tables about certificates; undefined: those are left as they are. */
  readonly certificates: ReadonlyMap<string, SqlValue[][]> | undefined;
  /** The one that they are sealed with. */
  readonly sealedWith: SealKey | undefined;
  readonly warnings: readonly string[];
}

const certificateTables = ['certificates', 'certificate_states', 'acme_accounts', 'ticket_keys'];

/**
 * Replaces all that a database holds by what a backup does, in one transaction: whatever happens, it has the old or the new state, whole. The whole
 * file is proven before. Of what is there stay: the audit log and the secrets of sticky cookies, which are added to; instances, where there are any;
 * challenges and leases; and the encryption key, with which the backup's private keys are sealed again if theirs was another.
 *
 * The history: a database whose own is a part of the backup's (a new one, too) gets that and one revision more; any other keeps its own, and
 * the restore is one revision that can be rolled back.
 * @throws BackupError, StoreError; nothing was changed then
 */
export async function restoreBackup(
  target: RestoreTarget,
  file: AsyncIterable<Uint8Array>,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const read = await readBackup(file, target.stateDir);
  try {
    const proven = await provenOf(target, read, options);
    return await store(target.connection, proven, options);
  } finally {
    read.close();
  }
}

async function provenOf(target: RestoreTarget, read: ReadBackup, options: RestoreOptions): Promise<Proven> {
  const state = await readBefore(read.connection);
  const row = await readEncryption(read.connection);
  const base = { ...read, state, sealedWith: undefined, warnings: [] as string[] };
  if (options.withoutCertificates === true || row === undefined) return { ...base, certificates: undefined };
  const rows = new Map<string, SqlValue[][]>();
  for (const name of certificateTables) rows.set(name, await allRows(read.connection, table(name)));
  const { encryption } = target;
  const key = await backupKey(row, encryption, textsOf(target, options));
  if (encryption === undefined) throw withoutKey();
  const to = encryption.cipher.current;
  let damaged = 0;
  for (const sealed of sealedTables)
    damaged += sealAgain(sealed, table(sealed.table).columns, rows.get(sealed.table) as SqlValue[][], key, to);
  if (damaged > 0) base.warnings.push(`${damaged} private keys in the backup are damaged; they are left as they are`);
  return { ...base, certificates: rows, sealedWith: to };
}

function textsOf({ key, stateDir }: RestoreTarget, options: RestoreOptions): (string | undefined)[] {
  const files = [keyPath, nextKeyPath, pastKeyPath].map((pathOf) => {
    try {
      return readKeyFile(pathOf(stateDir));
    } catch {
      return undefined;
    }
  });
  return [options.key, key, ...files];
}

/** As `backupKey` says it of a server that has no key at all. */
function withoutKey(): BackupError {
  const hint = 'Start it without --test-mode; or --without-certificates restores all but those. Nothing was changed.';
  return new BackupError('OO_BACKUP_KEY', 'The backup has certificates, and this server is without HTTPS.', hint);
}

async function store(connection: Connection, proven: Proven, options: RestoreOptions): Promise<RestoreReport> {
  const commitId = randomUUID();
  for (let attempt = 1; ; attempt++) {
    const before = await readBefore(connection);
    const plan = await planOf(proven, before);
    const report = reportOf(proven, before, plan);
    if (options.dryRun === true) return { ...report, revision: before.revision };
    try {
      await connection.run(await statementsOf(proven, before, plan, { ...options, commitId }), 'write');
      return report;
    } catch (error) {
      const failure = storeError(error, connection.where);
      // The answer to it may be lost although it was stored. If this fails too, the first error is the one to tell.
      const [[now], made, keys] = await connection
        .run(
          [
            { sql: 'SELECT revision, schema FROM meta', args: [] },
            { sql: 'SELECT revision FROM revisions WHERE commit_id = ?', args: [commitId] },
            { sql: 'SELECT key_id, origin FROM encryption', args: [] },
          ],
          'read',
        )
        .catch((): unknown[][][] => [[], [], []]);
      if (made.length > 0) return report;
      const { sealedWith } = proven;
      if (now !== undefined && sealedWith !== undefined && keys[0]?.[0] !== sealedWith.id)
        throw keyReplaced(connection, String(keys[0]?.[1] ?? 'given'));
      const isOvertaken = now !== undefined && now[0] !== before.revision;
      if ((!isOvertaken && !isPassing(failure)) || attempt === attempts) throw failure;
    }
  }
}

/** Which history it is to be, and what the restore's own revision changes. */
interface Plan {
  readonly history: 'backup' | 'kept';
  readonly revision: number;
  readonly difference: ReturnType<typeof differenceOf>;
}

async function planOf({ connection, state }: Proven, before: Before): Promise<Plan> {
  const difference = differenceOf(before.resources, state.resources);
  const sql = 'SELECT 1 FROM revisions WHERE revision = ? AND commit_id = ?';
  const isPart = async () => {
    if (before.revision > state.revision) return false;
    if (before.revision === 0) return before.resources.length === 0;
    if (before.commitId === null) return false;
    const [found] = await connection.run([{ sql, args: [before.revision, before.commitId] }], 'read');
    return found.length > 0;
  };
  const history = (await isPart()) ? 'backup' : 'kept';
  return { history, revision: (history === 'backup' ? state.revision : before.revision) + 1, difference };
}

function reportOf({ header, state, certificates, warnings }: Proven, before: Before, plan: Plan): RestoreReport {
  const count = (kind: string) => countOf(valuesOf(before.resources, kind), valuesOf(state.resources, kind));
  return {
    ...{ madeAt: header.at, oo: header.oo, backupRevision: state.revision },
    ...{ revision: plan.revision, history: plan.history, withCertificates: certificates !== undefined },
    ...{ routes: count('route'), services: count('service'), settings: count('settings') },
    certificates: countOf(before.certificates, certificates === undefined ? before.certificates : state.certificates),
    tokens: countOf(before.tokens, state.tokens),
    warnings,
  };
}

async function statementsOf(
  proven: Proven,
  before: Before,
  plan: Plan,
  by: RestoreOptions & { readonly commitId: string },
): Promise<Statement[]> {
  const { connection, certificates, sealedWith } = proven;
  const rowsOf = (name: string) => allRows(connection, table(name));
  const replaced = async (name: string) => [
    plain(`DELETE FROM ${name}`),
    ...insertions(name, table(name).columns, await rowsOf(name)),
  ];
  const [[metas]] = await connection.run(
    [plain('SELECT certificate_version, registry_version, token_version FROM meta')],
    'read',
  );
  const list = [guard(metas as number[], before, plan.revision, sealedWith)];
  list.push(...(await historyOf(proven, plan, by, replaced)));
  list.push(...(await replaced('tokens')));
  if (certificates !== undefined) {
    // Who is behind reads all: the log of changes does not reach so far.
    list.push(plain('DELETE FROM certificate_changes'));
    for (const [name, rows] of certificates)
      list.push(plain(`DELETE FROM ${name}`), ...insertions(name, table(name).columns, rows));
  }
  list.push(...addedTo(await rowsOf('sticky_secrets'), await rowsOf('health'), await rowsOf('audit')));
  if (before.instances === 0) list.push(...instancesOf(await rowsOf('registry')));
  return list;
}

/** The first statement: fails (NOT NULL) unless the database is as it was planned for. All numbers grow past both, so that every server notices. */
function guard(
  [certificateVersion, registryVersion, tokenVersion]: readonly number[],
  { revision }: Before,
  next: number,
  key: SealKey | undefined,
): Statement {
  const keyHolds = key === undefined ? '' : ' AND (SELECT key_id FROM encryption) = ?';
  return {
    sql: `UPDATE meta SET revision = CASE WHEN revision = ? AND schema = ?${keyHolds} THEN ? END,
      certificate_version = max(certificate_version, ?) + 1, registry_version = max(registry_version, ?) + 1,
      token_version = max(token_version, ?) + 1`,
    args: [
      ...[revision, currentSchema, ...(key === undefined ? [] : [key.id]), next],
      ...[certificateVersion, registryVersion, tokenVersion],
    ],
  };
}

async function historyOf(
  { header, state }: Proven,
  { history, revision, difference }: Plan,
  { actor, from = '', reason, commitId }: RestoreOptions & { readonly commitId: string },
  replaced: (name: string) => Promise<Statement[]>,
): Promise<Statement[]> {
  const what = `restore of the backup of ${header.at} (@${state.revision})`;
  const { save, remove } = difference;
  const changes = history === 'backup' ? 0 : save.length + remove.length;
  const made: Statement = {
    sql: 'INSERT INTO revisions (revision, commit_id, at, actor, source, reason, changes) VALUES (?, ?, ?, ?, ?, ?, ?)',
    args: [revision, commitId, Date.now(), actor, from, reason ? `${what}: ${reason}` : what, changes],
  };
  if (history === 'backup') {
    const all = await Promise.all(['revisions', 'resource_changes', 'resources'].map(replaced));
    return [...all.flat(), made];
  }
  const log = [...save.map(([kind, id, value]) => [kind, id, value]), ...remove.map(([kind, id]) => [kind, id, null])];
  const { columns } = table('resources');
  return [
    made,
    // The log says what was there before, so it is written first.
    ...insertions('resource_changes', ['kind', 'id', 'after'], log).map(({ args }) => ({
      sql: `INSERT INTO resource_changes (revision, kind, id, before, after)
        SELECT ${revision}, row.value->>0, row.value->>1, old.value, row.value->>2 FROM json_each(?) AS row
        LEFT JOIN resources AS old ON old.kind = row.value->>0 AND old.id = row.value->>1`,
      args,
    })),
    plain(`DELETE FROM resources WHERE (kind, id) IN
      (SELECT kind, id FROM resource_changes WHERE revision = ${revision} AND after IS NULL)`),
    ...insertions(
      'resources',
      columns,
      save.map(([kind, id, value, , createdAt, updatedAt]) => [kind, id, value, revision, createdAt, updatedAt]),
      `ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value, revision = excluded.revision,
        created_at = excluded.created_at, updated_at = excluded.updated_at`,
    ),
  ];
}

/** What is kept beside the backup's: cookies signed with either are believed, and nobody's entry in the audit log is lost. */
function addedTo(secrets: SqlValue[][], health: SqlValue[][], audit: SqlValue[][]): Statement[] {
  const list: Statement[] = [];
  list.push({
    sql: `INSERT INTO sticky_secrets (secret, created_at) SELECT value->>1, value->>2 FROM json_each(?)
      WHERE value->>1 NOT IN (SELECT secret FROM sticky_secrets) ORDER BY value->>0`,
    args: [JSON.stringify(secrets)],
  });
  list.push(...insertions('health', table('health').columns, health, 'ON CONFLICT DO NOTHING'));
  if (audit.length === 0) return list;
  const { columns } = table('audit');
  const most = audit[audit.length - 1][0] as number;
  // Those that are only here come after the backup's, in their order; by way of negative ids none meets another.
  list.push({ sql: 'UPDATE audit SET id = -(id + ?)', args: [most] });
  list.push(...insertions('audit', columns, audit, 'ON CONFLICT (key) DO UPDATE SET id = excluded.id'));
  list.push(plain('UPDATE audit SET id = -id WHERE id < 0'));
  return list;
}

function instancesOf(rows: SqlValue[][]): Statement[] {
  const { columns } = table('registry');
  const own = rows.filter(([kind]) => kind === 'instance');
  if (own.length === 0) return [];
  return [
    ...insertions('registry', columns, own, 'ON CONFLICT (kind, id) DO NOTHING'),
    plain(`UPDATE registry SET version = (SELECT registry_version FROM meta) WHERE kind = 'instance'`),
    plain(`DELETE FROM registry_removals WHERE (kind, id) IN (SELECT kind, id FROM registry)`),
  ];
}

function plain(sql: string): Statement {
  return { sql, args: [] };
}
