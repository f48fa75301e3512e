import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { temporary } from '../helpers/temporary.ts';
import { instanceOf } from './instance-of.ts';
import { certificateOf, outcomeIn, rawKey, routesIn } from './open-store.ts';

const migration = suite('db: from schema to schema');

/** Schema 1 as oo 0.1.0 made it: a copy, since it must never change. */
const schema1 = `
  CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, revision INTEGER NOT NULL) STRICT;
  INSERT INTO meta (id, schema, revision) VALUES (1, 1, 2);
  CREATE TABLE routes (
    id TEXT NOT NULL PRIMARY KEY,
    target TEXT NOT NULL,
    options TEXT,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX routes_by_revision ON routes (revision);
  CREATE TABLE revisions (
    revision INTEGER PRIMARY KEY,
    commit_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    changes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE route_changes (
    revision INTEGER NOT NULL,
    route_id TEXT NOT NULL,
    value TEXT,
    PRIMARY KEY (revision, route_id)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO routes VALUES ('a.example.com', 'http://10.0.0.1', NULL, 1, 5, 5);
  INSERT INTO routes VALUES ('b.example.com/app', 'http://10.0.0.2', '{"hostHeader":"upstream"}', 2, 6, 6);
  INSERT INTO revisions VALUES (1, 'x', 5, 'cli', NULL, 1), (2, 'y', 6, 'cli', NULL, 1);
  INSERT INTO route_changes VALUES (1, 'a.example.com', '{"id":"a.example.com","target":"http://10.0.0.1"}');
  INSERT INTO route_changes VALUES
    (2, 'b.example.com/app', '{"id":"b.example.com/app","target":"http://10.0.0.2","hostHeader":"upstream"}');
`;

function make(statements = schema1): string {
  const path = join(temporary(), 'oo.db');
  const db = new Database(path);
  db.exec(statements);
  db.close();
  return path;
}

const routes = [
  { id: 'a.example.com', target: 'http://10.0.0.1' },
  { id: 'b.example.com/app', target: 'http://10.0.0.2', hostHeader: 'upstream' },
];

migration('a database of schema 1 keeps its routes, its log and its revision, and takes certificates', async () => {
  const path = make();
  const {
    configuration: store,
    certificates,
    close,
  } = await openDatabase({
    url: path,
    encryption: { stateDir: temporary() },
  });
  assert.equal(routesIn(await store.load()), { revision: 2, routes });
  assert.is(await store.changesSince(1), 'too old', 'the log begins anew: it does not say what was before');
  const change = { base: 2, save: [], remove: ['a.example.com'], actor: 'test' };
  assert.equal(outcomeIn(await store.commit(change)), { revision: 3 });
  assert.equal(await certificates.save(certificateOf('a')), { version: 1 });
  assert.equal(routesIn(await store.load()), { revision: 3, routes: [routes[1]] }, 'neither counts for the other');
  close();
});

migration('what a migration does not get done is not there by half', async () => {
  const path = make(`${schema1} CREATE TABLE leases (x)`);
  const opening = openDatabase({ url: path });
  await opening.then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_FOREIGN'),
  );
  const db = new Database(path);
  assert.equal(db.prepare('SELECT schema FROM meta').raw().get(), [1]);
  assert.equal(db.prepare("SELECT name FROM sqlite_master WHERE name = 'certificates'").raw().all(), []);
  db.exec('DROP TABLE leases');
  db.close();
  const { configuration: store, close } = await openDatabase({ url: path });
  assert.equal(routesIn(await store.load()), { revision: 2, routes });
  close();
});

/** Made by oo 0.1.0 of schema 2 from its own stores, with the key `rawKey`: what SQLite then had, as statements. */
const schema2 = readFileSync(join(import.meta.dirname, 'fixtures/schema-2.sql'), 'utf8');

migration('a database of schema 2 keeps all that it has, sealed keys too, and takes the rest', async () => {
  const path = make(schema2);
  const stateDir = temporary();
  const encryption = { key: rawKey, stateDir };
  const database = await openDatabase({ url: path, encryption });
  assert.equal(routesIn(await database.configuration.load()), { revision: 2, routes });
  assert.is(await database.configuration.changesSince(1), 'too old');
  const { certificates, registry, health, tokens, secrets } = database;
  assert.equal(await certificates.load(), { version: 3, certificates: [certificateOf('a.example.com')] });
  assert.equal(await certificates.changesSince(2), { version: 3, save: [], remove: ['gone'] });
  assert.is((await certificates.accounts())[0].key, 'account key');
  assert.equal(await certificates.ticketKeys(), [{ key: 'ticket', createdAt: 1 }]);
  assert.equal(await registry.read(0), { version: 0, whole: true, rows: [], removed: [] });
  assert.is((await health.load()).size, 0);
  assert.equal(await tokens.list(), []);
  const value = instanceOf('i');
  await registry.write([{ do: 'put', row: { kind: 'instance', id: 'i', value } }]);
  const [secret] = await secrets.stickySecrets();
  const nextKey = 'cd'.repeat(32);
  assert.is((await database.rotateKey(nextKey)).values, 3);
  await registry.write([{ do: 'remove', kind: 'node', id: 'x' }]);
  database.close();
  const again = await openDatabase({ url: path, encryption: { key: nextKey, stateDir } });
  assert.equal((await again.registry.read(0)).rows, [{ kind: 'instance', id: 'i', value }]);
  assert.equal(await again.secrets.stickySecrets(), [secret]);
  assert.equal((await again.certificates.load()).certificates, [certificateOf('a.example.com')]);
  again.close();
});

migration('what the migrations make is one schema, wherever they began', async () => {
  const schemas: unknown[] = [];
  for (const path of [make(''), make(), make(schema2)]) {
    (await openDatabase({ url: path })).close();
    const db = new Database(path);
    const rows = db.prepare('SELECT name, sql FROM sqlite_master ORDER BY name').raw().all() as string[][];
    schemas.push(rows.map(([name, sql]) => [name, sql?.replace(/\s+/g, ' ')]));
    db.close();
  }
  assert.equal(schemas[1], schemas[0]);
  assert.equal(schemas[2], schemas[0]);
});

migration('opened without a key, it has all but the certificates', async () => {
  const path = make(schema2);
  const {
    registry,
    health,
    tokens,
    secrets,
    audit,
    backups: _,
    configuration: store,
    shared,
    close,
    ...rest
  } = await openDatabase({ url: path });
  assert.equal(Object.keys(rest), ['where']);
  assert.is(shared, false);
  assert.is((await store.load()).revision, 2);
  await registry.write([
    { do: 'put', row: { kind: 'node', id: 'n', value: { id: 'n', url: 'http://n', az: '', lastHeartbeat: 1 } } },
  ]);
  await health.save([['k', { state: 'Healthy', since: 1, reason: '' }]]);
  assert.is((await health.load()).size, 1);
  assert.equal(await tokens.list(), []);
  assert.is((await secrets.stickySecrets()).length, 1);
  assert.equal(await audit.list({ limit: 1 }), []);
  close();
});

/** Made by oo 0.4.0 of schema 3 from its own stores. */
const schema3 = readFileSync(join(import.meta.dirname, 'fixtures/schema-3.sql'), 'utf8');

migration(
  'a database of schema 3: routes and definitions are one configuration, whose history begins there',
  async () => {
    const { configuration: store, registry, close } = await openDatabase({ url: make(schema3) });
    const state = {
      revision: 2,
      routes: [
        { id: 'a.example.com', target: 'http://10.0.0.1' },
        {
          ...{ id: 'b.example.com/app', target: ['http://10.0.0.2', { url: 'http://10.0.0.3/"x"', weight: 3 }] },
          ...{ hostHeader: 'upstream' as const, balance: { policy: 'hash' as const, by: 'header:x-user' } },
        },
        { id: 'c.example.com', target: '[::1]:3000' },
      ],
      services: [
        { id: 'bare' },
        {
          ...{ id: 'user-svc', title: 'Ä "quoted" \n\u0000', health: { path: '/up' } },
          rollout: { previous: 'http://10.0.0.1' },
        },
      ],
      settings: {},
    };
    assert.equal(await store.load(), state);
    const { rows, removed } = await registry.read(0);
    assert.equal([rows.map(({ kind, id }) => `${kind} ${id}`), removed], [['node n'], []]);
    assert.equal(await store.history.list(10), []);
    assert.equal(await store.history.at(2), state);
    assert.is(await store.history.at(1), undefined);
    await store.commit({
      ...{ base: 2, save: [], remove: ['a.example.com'], actor: 'test' },
      services: { save: [], remove: ['bare'] },
    });
    assert.equal(await store.history.at(2), state);
    assert.equal(await store.history.between(3, 2), [
      { kind: 'route', id: 'a.example.com', before: null, after: state.routes[0] },
      { kind: 'service', id: 'bare', before: null, after: { id: 'bare' } },
    ]);
    close();
  },
);

migration(
  'tokens of schema 3 work on: their roles become scopes; a role that was none of ours becomes none',
  async () => {
    const token = (id: string, role: string, slug: string) =>
      `INSERT INTO tokens VALUES ('${id}', '${id.repeat(32)}', '${role}', '${slug}', '', ${id.length}, 0);`;
    const rows = [
      token('aa', 'admin', ''),
      token('bb', 'service', 'user-svc'),
      token('cc', 'auditor', ''),
      token('dd', 'service', ''),
    ];
    const { tokens, audit, close } = await openDatabase({ url: make(`${schema3}\n${rows.join('\n')}`) });
    assert.equal(
      (await tokens.list()).map(({ id, scopes, slug }) => [id, scopes, slug]),
      [
        ['aa', ['admin'], ''],
        ['bb', ['instances:read', 'instance:write'], 'user-svc'],
        ['cc', [], ''],
        ['dd', [], ''],
      ],
    );
    assert.is((await tokens.find('bb'.repeat(32)))?.token.id, 'bb');
    assert.equal(await audit.list({ limit: 1 }), []);
    close();
  },
);

migration.run();
