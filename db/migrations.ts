import { sql } from 'drizzle-orm';
import { type Connection, database, type Statement } from './connection.ts';
import { isPassing, StoreError, storeError } from './failure.ts';
import { again } from './retry.ts';
import { meta } from './schema.ts';

/**
 * The n-th entry brings a database from schema n to n + 1. Entries are only ever added: a released one never changes.
 * Embedded, since the executable has no folder of SQL files beside it.
 */
const migrations: readonly (readonly string[])[] = [
  [
    'CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, revision INTEGER NOT NULL) STRICT',
    'INSERT INTO meta (id, schema, revision) VALUES (1, 0, 0)',
    `CREATE TABLE routes (
      id TEXT NOT NULL PRIMARY KEY,
      target TEXT NOT NULL,
      options TEXT,
      revision INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    'CREATE INDEX routes_by_revision ON routes (revision)',
    `CREATE TABLE revisions (
      revision INTEGER PRIMARY KEY,
      commit_id TEXT NOT NULL,
      at INTEGER NOT NULL,
      actor TEXT NOT NULL,
      reason TEXT,
      changes INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE route_changes (
      revision INTEGER NOT NULL,
      route_id TEXT NOT NULL,
      value TEXT,
      PRIMARY KEY (revision, route_id)
    ) STRICT, WITHOUT ROWID`,
  ],
  [
    'ALTER TABLE meta ADD COLUMN certificate_version INTEGER NOT NULL DEFAULT 0',
    `CREATE TABLE encryption (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      key_id TEXT NOT NULL,
      salt TEXT NOT NULL,
      check_value TEXT NOT NULL,
      origin TEXT NOT NULL,
      since INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE certificates (
      id TEXT NOT NULL PRIMARY KEY,
      names TEXT NOT NULL,
      chain TEXT NOT NULL,
      private_key TEXT NOT NULL,
      source TEXT NOT NULL,
      key_type TEXT NOT NULL,
      issuer TEXT NOT NULL,
      serial TEXT NOT NULL,
      not_before INTEGER NOT NULL,
      not_after INTEGER NOT NULL,
      directory TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      version INTEGER NOT NULL
    ) STRICT`,
    'CREATE INDEX certificates_by_version ON certificates (version)',
    `CREATE TABLE certificate_changes (
      version INTEGER PRIMARY KEY,
      certificate_id TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE certificate_states (
      id TEXT NOT NULL PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE acme_accounts (
      directory TEXT NOT NULL PRIMARY KEY,
      url TEXT NOT NULL,
      private_key TEXT NOT NULL,
      contact TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE challenges (
      key TEXT NOT NULL PRIMARY KEY,
      type TEXT NOT NULL,
      name TEXT NOT NULL,
      token TEXT NOT NULL,
      content TEXT NOT NULL,
      private_key TEXT,
      expires_at INTEGER NOT NULL
    ) STRICT`,
    'CREATE INDEX challenges_by_end ON challenges (expires_at)',
    `CREATE TABLE leases (
      name TEXT NOT NULL PRIMARY KEY,
      holder TEXT NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    'CREATE INDEX leases_by_end ON leases (expires_at)',
    `CREATE TABLE ticket_keys (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      sealed TEXT NOT NULL,
      digest TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE on_demand (
      id TEXT NOT NULL PRIMARY KEY,
      at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    'CREATE INDEX on_demand_by_time ON on_demand (at)',
  ],
  [
    'ALTER TABLE meta ADD COLUMN registry_version INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE meta ADD COLUMN registry_forgotten INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE meta ADD COLUMN token_version INTEGER NOT NULL DEFAULT 0',
    `CREATE TABLE registry (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      value TEXT NOT NULL,
      last_heartbeat INTEGER,
      status TEXT,
      details TEXT,
      status_since INTEGER,
      version INTEGER NOT NULL,
      PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID`,
    'CREATE INDEX registry_by_version ON registry (version)',
    `CREATE TABLE registry_removals (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      version INTEGER NOT NULL,
      PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID`,
    'CREATE INDEX registry_removals_by_version ON registry_removals (version)',
    `CREATE TABLE health (
      key TEXT NOT NULL PRIMARY KEY,
      state TEXT NOT NULL,
      since INTEGER NOT NULL,
      reason TEXT NOT NULL,
      written_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE tokens (
      id TEXT NOT NULL PRIMARY KEY,
      hash TEXT NOT NULL UNIQUE,
      role TEXT NOT NULL,
      slug TEXT NOT NULL,
      note TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE sticky_secrets (
      id INTEGER PRIMARY KEY,
      secret TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT`,
  ],
  [
    "ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT ''",
    "UPDATE tokens SET scopes = 'admin' WHERE role = 'admin'",
    "UPDATE tokens SET scopes = 'instances:read instance:write' WHERE role = 'service' AND slug <> ''",
    `CREATE TABLE audit (
      id INTEGER PRIMARY KEY,
      key TEXT NOT NULL UNIQUE,
      at INTEGER NOT NULL,
      actor TEXT NOT NULL,
      source TEXT NOT NULL,
      operation TEXT NOT NULL,
      method TEXT NOT NULL,
      path TEXT NOT NULL,
      ids TEXT NOT NULL,
      status INTEGER NOT NULL,
      revision INTEGER
    ) STRICT`,
    'CREATE INDEX audit_by_actor ON audit (actor, id)',
  ],
  // Services and settings become part of the configuration, and the log says what was before. The old one does not, so the history begins anew here: with
  // the state at the present revision.
  [
    `CREATE TABLE resources (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      value TEXT NOT NULL,
      revision INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID`,
    `INSERT INTO resources SELECT 'route', id,
      '{"id":' || json_quote(id)
        || CASE WHEN target = '' THEN ''
          ELSE ',"target":' || CASE WHEN target GLOB '[[]["{]*' THEN target ELSE json_quote(target) END END
        || CASE WHEN coalesce(options, '{}') = '{}' THEN '}' ELSE ',' || substr(options, 2) END,
      revision, created_at, updated_at FROM routes`,
    `INSERT INTO resources SELECT 'service', id,
      '{"id":' || json_quote(id) || CASE WHEN value = '{}' THEN '}' ELSE ',' || substr(value, 2) END,
      (SELECT revision FROM meta), unixepoch() * 1000, unixepoch() * 1000 FROM registry
      WHERE kind = 'definition' AND value GLOB '{*' AND json_valid(value)`,
    "DELETE FROM registry WHERE kind = 'definition'",
    "DELETE FROM registry_removals WHERE kind = 'definition'",
    'DROP TABLE routes',
    'DROP TABLE route_changes',
    'DELETE FROM revisions',
    "ALTER TABLE revisions ADD COLUMN source TEXT NOT NULL DEFAULT ''",
    `CREATE TABLE resource_changes (
      revision INTEGER NOT NULL,
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      before TEXT,
      after TEXT,
      PRIMARY KEY (revision, kind, id)
    ) STRICT, WITHOUT ROWID`,
  ],
];

/** The schema that this program reads and writes. */
export const currentSchema = migrations.length;

/** The database's schema; 0 when it has none yet. */
async function schemaOf(connection: Connection): Promise<number> {
  const db = database(connection, 'read');
  const tables = await db.all<[string]>(sql`SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'meta'`);
  if (tables.length === 0) return 0;
  const rows = await db.select({ schema: meta.schema }).from(meta);
  if (rows.length === 0)
    throw new StoreError(
      'OO_STORE_FOREIGN',
      `The database ${connection.where} is not oo's: its table meta is empty.`,
      foreignHint,
    );
  return rows[0].schema;
}

const foreignHint = 'Name another database with --db: oo keeps its tables in one of its own.';

/** One migration's statements, ended by a guard that fails (NOT NULL) when another server has run it meanwhile. */
function stepsTo(schema: number): Statement[] {
  const guard = 'UPDATE meta SET schema = CASE WHEN schema = ? THEN ? END WHERE id = 1';
  return [
    ...migrations[schema - 1].map((text) => ({ sql: text, args: [] })),
    { sql: guard, args: [schema - 1, schema] },
  ];
}

/**
 * Brings the database to `currentSchema`, one transaction a step; servers that start together may all call it.
 * @throws StoreError OO_STORE_NEWER where a later oo has been at work, OO_STORE_FOREIGN where the tables are another program's
 */
export async function migrate(connection: Connection): Promise<void> {
  for (let failures = 0; ; ) {
    const schema = await foreignIfUnreadable(connection);
    if (schema > currentSchema) throw newer(connection, schema);
    if (schema === currentSchema) return;
    try {
      await connection.run(stepsTo(schema + 1), 'write');
    } catch (error) {
      const failure = storeError(error, connection.where);
      // Another server may have done this step: look again before believing the error.
      failures += 1;
      if ((await schemaOf(connection)) > schema) continue;
      if (isPassing(failure) && failures < 3) continue;
      if (/already exists/.test(String(failure.cause))) {
        const message = `The database ${connection.where} holds tables of another program: ${String((failure.cause as Error).message)}.`;
        throw new StoreError('OO_STORE_FOREIGN', message, foreignHint, failure);
      }
      throw failure;
    }
  }
}

/**
 * For who only reads: the schema must be this program's, and nothing is migrated.
 * @throws StoreError OO_STORE_READONLY for an older one, or an empty database
 */
export async function requireSchema(connection: Connection): Promise<void> {
  const schema = await again(connection, () => foreignIfUnreadable(connection));
  if (schema > currentSchema) throw newer(connection, schema);
  if (schema === currentSchema) return;
  const { where } = connection;
  const what =
    schema === 0
      ? 'has no tables of oo yet'
      : `was written by an earlier oo (schema ${schema}; this one needs ${currentSchema})`;
  const message = `The database ${where} ${what}, and is opened for reading only.`;
  throw new StoreError(
    'OO_STORE_READONLY',
    message,
    'Start this version of oo serve on it once: that brings it up to date.',
  );
}

/** Makes the tables of a schema in an empty database: what a backup of that schema is read into. @param schema 1 to `currentSchema` */
export async function makeSchema(connection: Connection, schema: number): Promise<void> {
  for (let next = 1; next <= schema; next++) await connection.run(stepsTo(next), 'write');
}

async function foreignIfUnreadable(connection: Connection): Promise<number> {
  try {
    return await schemaOf(connection);
  } catch (error) {
    const failure = storeError(error, connection.where);
    if (/no such column/.test(String(failure.cause))) {
      throw new StoreError(
        'OO_STORE_FOREIGN',
        `The database ${connection.where} has a table meta that is not oo's.`,
        foreignHint,
        failure,
      );
    }
    throw failure;
  }
}

/** The refusal of a database that a later oo has migrated. */
export function newer(connection: Connection, schema: number): StoreError {
  const message = `The database ${connection.where} was written by a later oo (schema ${schema}; this one knows ${currentSchema}).`;
  return new StoreError('OO_STORE_NEWER', message, 'Run that later oo, or name another database with --db.');
}
