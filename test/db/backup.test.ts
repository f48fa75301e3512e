import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { backupTables, passingTables } from '../../db/backup-tables.ts';
import { type OpenCertificateDatabase, openDatabase } from '../../db/database.ts';
import { openFile } from '../../db/file.ts';
import { makeSchema } from '../../db/migrations.ts';
import type { Backups, RestoreReport } from '../../src/admin/backup.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { startChild } from '../helpers/child.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { certificateOf, rawKey } from './open-store.ts';

const backup = suite('db backup');

interface Opened {
  readonly db: OpenCertificateDatabase;
  readonly dir: string;
  readonly path: string;
  readonly backups: Backups;
}
const opened: Opened[] = [];
backup.after.each(() => {
  for (const { db } of opened.splice(0)) db.close();
});

async function open({ key = rawKey, dir = temporary(), url = join(dir, 'oo.db') } = {}): Promise<Opened> {
  const db = await openDatabase({ url, encryption: { key, stateDir: dir } });
  const one = { db, dir, path: join(dir, 'oo.db'), backups: db.backups('9.9.9', dir) };
  opened.push(one);
  return one;
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const list: Uint8Array[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return Buffer.concat(list);
}

async function* fileOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000);
}

function restore({ backups }: Opened, bytes: Uint8Array, more: object = {}): Promise<RestoreReport> {
  return backups.restore(fileOf(bytes), { actor: 'test', from: 'socket', ...more });
}

/** Routes a to h, a service, a setting; two certificates; a token. */
async function fill({ db }: Opened, target = 'http://127.0.0.1:1'): Promise<void> {
  const base = (await db.configuration.load()).revision;
  await db.configuration.commit({ base, actor: 'test', save: routes('abcd', target), remove: [] });
  await db.configuration.commit({
    ...{ base: base + 1, actor: 'test', save: routes('efgh', target), remove: ['a.test'] },
    services: { save: [{ id: 'shop', balance: 'random' } as never], remove: [] },
    settings: { historyRevisions: 500 },
  });
  await db.certificates.save(certificateOf('x.test'));
  await db.certificates.save(certificateOf('y.test', { key: 'another' }));
  await db.tokens.add(tokenOf('tok_1'), 'aa'.repeat(32));
  await db.secrets.stickySecrets();
  await db.audit.add([entryOf('one', 1), entryOf('two', 2)], 1_000);
}

const routes = (letters: string, target: string) => [...letters].map((letter) => ({ id: `${letter}.test`, target }));

const tokenOf = (id: string) => ({
  id,
  scopes: ['admin' as const],
  slug: '',
  note: 'ü\n"',
  createdAt: 1,
  expiresAt: 0,
});

function entryOf(key: string, at: number) {
  const rest = { operation: 'saveRoutes', method: 'PUT', path: '/v1/routes', ids: ['x'], status: 200, revision: 1 };
  return { key, at, actor: 'a', from: 'socket', ...rest };
}

/** All that must be the same after a restore. Keys opened: they may be sealed with another key. */
async function stateOf({ db }: Opened) {
  const { revision: _, ...configuration } = await db.configuration.load();
  const { certificates } = await db.certificates.load();
  const { tokens } = await db.tokens.all();
  return { configuration, certificates, tokens };
}

function code(wanted: string) {
  return (error: Error) => {
    assert.is((error as { code?: string }).code, wanted, error.stack);
    assert.ok((error as { hint?: string }).hint);
    return true;
  };
}

async function rejects(work: Promise<unknown>, wanted: string): Promise<void> {
  try {
    await work;
  } catch (error) {
    code(wanted)(error as Error);
    return;
  }
  assert.unreachable(`expected ${wanted}`);
}

backup('every table is either in it or known to be passing', async () => {
  const one = await open();
  const db = new Database(one.path);
  const found = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").raw().all() as unknown as string[][];
  db.close();
  const names = found.map(([name]) => name).filter((name) => !name.startsWith('sqlite_'));
  assert.equal([...backupTables.map(({ name }) => name), ...passingTables].sort(), names.sort());
});

for (const kind of ['file', 'shared'] as const) {
  backup(
    `${kind}: a new database has all of it, and the history; key, private keys and tokens are not in the file`,
    async () => {
      const from = await open();
      await fill(from);
      const server = kind === 'shared' ? await startHrana(from.path) : undefined;
      const source = server === undefined ? from : await open({ dir: from.dir, url: server.url });
      const bytes = await bytesOf(source.backups.backup());
      const text = gunzipSync(bytes).toString();
      for (const secret of ['key of x.test', rawKey]) assert.not(text.includes(secret), secret);
      const header = JSON.parse(text.split('\n', 1)[0]);
      assert.equal(
        [header.kind, header.format, header.revision, header.oo, header.keyId],
        ['oo backup', 1, 2, '9.9.9', from.db.encryption.cipher.current.id],
      );
      const to = await open();
      const toServer = kind === 'shared' ? await startHrana(to.path) : undefined;
      const target = toServer === undefined ? to : await open({ dir: to.dir, url: toServer.url });
      const report = await restore(target, bytes);
      assert.equal(await stateOf(to), await stateOf(from));
      assert.equal(
        [report.revision, report.history, report.withCertificates, report.warnings],
        [3, 'backup', true, []],
      );
      assert.equal(report.routes, { now: 0, backup: 7, added: 7, changed: 0, removed: 0 });
      const [restored, ...before] = await to.db.configuration.history.list(10);
      assert.equal(before, await from.db.configuration.history.list(10));
      assert.match(restored.reason, /^restore of the backup of 20.*\(@2\)$/);
      assert.equal([restored.actor, restored.from, restored.revision], ['test', 'socket', 3]);
      assert.equal(await to.db.configuration.history.at(1), await from.db.configuration.history.at(1));
      assert.equal(await to.db.audit.list({ limit: 10 }), await from.db.audit.list({ limit: 10 }));
      assert.equal(
        readdirSync(to.dir).filter((name) => name.startsWith('oo-restore')),
        [],
      );
      await server?.close();
      await toServer?.close();
    },
  );
}

backup(
  'over a later state of the same database: one revision, which can be undone; what it has since learnt to audit stays',
  async () => {
    const one = await open();
    await fill(one);
    const before = await stateOf(one);
    const bytes = await bytesOf(one.backups.backup());
    await one.db.configuration.commit({
      base: 2,
      actor: 'me',
      save: routes('bz', 'http://127.0.0.1:9'),
      remove: ['c.test'],
    });
    await one.db.certificates.save(certificateOf('z.test'));
    await one.db.certificates.remove('x.test');
    await one.db.tokens.remove('tok_1');
    await one.db.audit.add([entryOf('three', 3)], 1_000);
    const versions = [(await one.db.certificates.load()).version, (await one.db.tokens.all()).version];
    const later = await stateOf(one);
    const dry = await restore(one, bytes, { dryRun: true });
    assert.equal([dry.revision, dry.history], [3, 'kept']);
    assert.equal(dry.routes, { now: 7, backup: 7, added: 1, changed: 1, removed: 1 });
    assert.equal(dry.certificates, { now: 2, backup: 2, added: 1, changed: 0, removed: 1 });
    assert.equal(await stateOf(one), later, 'a dry run stores nothing');
    const report = await restore(one, bytes, { reason: 'oops' });
    assert.is(report.revision, 4);
    assert.equal(await stateOf(one), before);
    const { history } = one.db.configuration;
    assert.equal(
      (await history.list(10)).map(({ revision }) => revision),
      [4, 3, 2, 1],
    );
    assert.match((await history.list(1))[0].reason, /: oops$/);
    assert.equal((await history.at(3))?.routes, later.configuration.routes);
    const [b, c, z] = (await history.revision(4))!.resources;
    assert.equal(
      [b.before, b.after],
      [
        { id: 'b.test', target: 'http://127.0.0.1:9' },
        { id: 'b.test', target: 'http://127.0.0.1:1' },
      ],
    );
    assert.equal([c.before, c.after], [null, { id: 'c.test', target: 'http://127.0.0.1:1' }]);
    assert.equal([z.id, z.after], ['z.test', null]);
    assert.equal(
      (await one.db.audit.list({ limit: 10 })).map(({ at }) => at),
      [3, 2, 1],
    );
    const [certificates, tokens] = versions;
    assert.ok((await one.db.certificates.load()).version > certificates);
    assert.is(await one.db.certificates.changesSince(certificates), 'all');
    assert.ok((await one.db.tokens.all()).version > tokens);
    const since = await one.db.configuration.changesSince(3);
    assert.ok(
      since !== 'too old' && since.save.length === 2 && since.remove.length === 1,
      'servers get the difference',
    );
  },
);

backup('an older copy gets a later backup with its history; another database keeps its own', async () => {
  const source = await open();
  await fill(source);
  const early = await bytesOf(source.backups.backup());
  const copy = await open();
  await restore(copy, early);
  await source.db.configuration.commit({ base: 2, actor: 'me', save: routes('k', 'http://127.0.0.1:9'), remove: [] });
  const late = await bytesOf(source.backups.backup());
  // The copy has a third revision of its own by now: that of the restore.
  const report = await restore(copy, late);
  assert.equal([report.history, report.revision], ['kept', 4]);
  assert.equal(await stateOf(copy), await stateOf(source));
  const other = await open();
  await fill(other, 'http://127.0.0.1:5');
  await restore(other, late);
  assert.equal(await stateOf(other), await stateOf(source));
  assert.equal((await other.db.configuration.history.list(1))[0].revision, 3);
  assert.equal((await other.db.configuration.history.at(2))?.routes[0].target, 'http://127.0.0.1:5');
  assert.is((await other.db.secrets.stickySecrets()).length, 2, 'cookies of both are believed');
});

backup('keys sealed with another key: it is needed, and given, they are sealed with the one here', async () => {
  const otherKey = randomBytes(32).toString('base64');
  const from = await open({ key: otherKey });
  await fill(from);
  const bytes = await bytesOf(from.backups.backup());
  const to = await open();
  const before = await stateOf(to);
  await rejects(restore(to, bytes), 'OO_BACKUP_KEY');
  await rejects(restore(to, bytes, { key: 'no key that fits' }), 'OO_BACKUP_KEY');
  assert.equal(await stateOf(to), before);
  const without = await restore(to, bytes, { withoutCertificates: true });
  assert.is(without.withCertificates, false);
  assert.is((await stateOf(to)).certificates.length, 0);
  assert.is((await stateOf(to)).tokens.length, 1);
  await restore(to, bytes, { key: otherKey });
  assert.equal(await stateOf(to), await stateOf(from));
  to.db.close();
  opened.splice(opened.indexOf(to), 1);
  assert.equal(
    await stateOf(await open({ dir: to.dir })),
    await stateOf(from),
    'opens with its own key after a restart',
  );
});

backup('what is cut, changed, later, or none is refused, and nothing is changed', async () => {
  const from = await open();
  await fill(from);
  const bytes = await bytesOf(from.backups.backup());
  const text = gunzipSync(bytes).toString();
  const to = await open();
  await fill(to, 'http://127.0.0.1:7');
  const before = await stateOf(to);
  const sealed = (changed: string) => {
    const lines = changed.split('\n').slice(0, -2);
    const body = `${lines.join('\n')}\n`;
    const rows = lines.filter((line) => line.startsWith('[')).length;
    const sha256 = createHash('sha256').update(body).digest('hex');
    return gzipSync(`${body}${JSON.stringify({ end: true, rows, sha256 })}\n`);
  };
  const damaged: Record<string, Uint8Array> = {
    nothing: Buffer.alloc(0),
    text: Buffer.from('hello'),
    json: gzipSync('{"a":1}\n'),
    'an empty gzip': gzipSync(''),
    'cut in the compressed bytes': bytes.subarray(0, bytes.length - 20),
    'cut at a line': gzipSync(`${text.split('\n').slice(0, -2).join('\n')}\n`),
    'cut in a line': gzipSync(text.slice(0, 900)),
    'a changed row': gzipSync(text.replace('127.0.0.1:1', '127.0.0.1:2')),
    'a flipped bit': Buffer.from(bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 4 : byte))),
    'more after the end': gzipSync(`${text}[1]\n`),
    'a foreign table': sealed(text.replace('"table":"tokens"', '"table":"token; DROP TABLE meta"')),
    'a foreign column': sealed(text.replace('"hash"', '"hash, x"')),
    'a wrong type': sealed(text.replace('"aaaaaaaa', '{"a":1},"aaaaaaaa')),
    'a row twice': sealed(text.replace(/(\[1,"[^\n]*\n)/, '$1$1')),
    'no JSON in it': sealed(text.replace('{\\"id\\":\\"b.test', '{\\"id\\":')),
    'no meta': sealed(text.replace(/(\{"table":"meta"[^\n]*\n)[^\n]*\n/, '$1')),
  };
  for (const [name, file] of Object.entries(damaged)) {
    await restore(to, file).then(
      () => assert.unreachable(name),
      (error) => assert.is(error.code, 'OO_BACKUP_DAMAGED', `${name}: ${error.stack}`),
    );
  }
  await rejects(restore(to, gzipSync(text.replace('"format":1', '"format":2'))), 'OO_BACKUP_NEWER');
  await rejects(restore(to, sealed(text.replace(/"schema":\d+/, '"schema":99'))), 'OO_BACKUP_NEWER');
  assert.equal(await stateOf(to), before);
  assert.equal(
    readdirSync(to.dir).filter((name) => name.startsWith('oo-restore')),
    [],
  );
  await restore(to, sealed(text));
});

backup('is of one moment, though much is written while it is read', async () => {
  const one = await open();
  await fill(one);
  const list = (from: number) =>
    Array.from({ length: 4_000 }, (_, i) => ({ id: `n${from + i}.test`, target: 'http://127.0.0.1:1' }));
  await one.db.configuration.commit({ base: 2, actor: 'me', save: list(0), remove: [] });
  const chunks: Uint8Array[] = [];
  for await (const chunk of one.backups.backup()) {
    if (chunks.length === 0)
      await one.db.configuration.commit({
        base: 3,
        actor: 'me',
        save: list(9_000),
        remove: list(0).map(({ id }) => id),
      });
    chunks.push(chunk);
  }
  const to = await open();
  const report = await restore(to, Buffer.concat(chunks));
  assert.equal([report.backupRevision, report.routes.backup], [3, 4_007]);
  assert.equal((await to.db.configuration.load()).routes, (await one.db.configuration.history.at(3))?.routes);
  assert.is((await one.db.configuration.load()).revision, 4);
});

backup('one that an older oo has made is brought up to date', async () => {
  const path = join(temporary(), 'old.db');
  const old = openFile(path);
  await makeSchema(old, 4);
  const run = (sql: string) => old.run([{ sql, args: [] }], 'write');
  await run('UPDATE meta SET revision = 7');
  await run(`INSERT INTO routes VALUES ('a.test', 'http://127.0.0.1:1', '{"priority":3}', 7, 1, 2)`);
  await run(`INSERT INTO tokens (id, hash, role, slug, note, created_at, expires_at, scopes)
    VALUES ('tok_9', '${'bb'.repeat(32)}', 'admin', '', '', 1, 0, 'admin')`);
  const { packed } = await import('../../db/backup-format.ts');
  const parts: (object | unknown[])[] = [];
  for (const table of ['meta', 'routes', 'tokens']) {
    const [columns, rows] = await old.run(
      [
        { sql: `SELECT name FROM pragma_table_info('${table}')`, args: [] },
        { sql: `SELECT * FROM ${table}`, args: [] },
      ],
      'read',
    );
    parts.push({ table, columns: columns.flat() }, ...rows);
  }
  old.close();
  const header = { schema: 4, at: '2026-01-01T00:00:00.000Z', revision: 7, keyId: null, oo: '0.4.0' };
  const bytes = await bytesOf(packed(header, parts as never));
  const to = await open();
  const report = await restore(to, bytes);
  assert.equal([report.backupRevision, report.revision, report.withCertificates], [7, 8, false]);
  const { routes: found } = await to.db.configuration.load();
  assert.equal(found, [{ id: 'a.test', target: 'http://127.0.0.1:1', priority: 3 }]);
  assert.is((await to.db.tokens.list())[0].id, 'tok_9');
});

backup('shared: other servers take a restore over; an answer that is lost is no failure', async () => {
  const source = await open();
  await fill(source);
  const bytes = await bytesOf(source.backups.backup());
  const place = await open();
  await fill(place, 'http://127.0.0.1:5');
  const server = await startHrana(place.path);
  const [one, other] = [
    await open({ dir: place.dir, url: server.url }),
    await open({ dir: place.dir, url: server.url }),
  ];
  const published: number[] = [];
  const configuration = await createConfiguration({
    store: other.db.configuration,
    publish: async ({ revision }) => void published.push(revision),
  });
  const told: number[] = [];
  const stop = other.db.tokens.watch!(
    () => told.at(-1) ?? 1,
    async (version) => void told.push(version),
    () => {},
  );
  const report = await restore(one, bytes);
  await until(() => configuration.table.revision === report.revision && told.length > 0);
  assert.equal(configuration.list(), (await source.db.configuration.load()).routes);
  assert.equal(published, [3]);
  stop();
  await configuration.close();
  // The plan is made with some reads; what comes next is the transaction.
  for (const mood of ['lose', 'refuse'] as const) {
    const { pipelines } = server;
    await restore(one, bytes, { dryRun: true });
    const reads = server.pipelines - pipelines;
    server.moods(...Array.from({ length: reads }, () => 'answer' as const), mood);
    const { revision } = await restore(one, bytes);
    const { db } = place;
    assert.equal([(await db.configuration.load()).revision, (await stateOf(place)).tokens.length], [revision, 1], mood);
    assert.is((await db.configuration.history.list(1))[0].revision, revision);
  }
  assert.is((await place.db.configuration.load()).revision, 5, 'each was stored once');
  await server.close();
});

backup('kill -9 at any moment: all of the one backup, or all of the other', async () => {
  const files: string[] = [];
  const states: object[] = [];
  for (const which of [0, 1]) {
    const one = await open();
    await fill(one, `http://127.0.0.1:${which + 1}`);
    const many = Array.from({ length: 300 }, (_, i) => ({ id: `n${i}.test`, target: `http://127.0.0.1:${which + 1}` }));
    await one.db.configuration.commit({ base: 2, actor: 'me', save: many, remove: [] });
    await one.db.certificates.save(certificateOf(`only${which}.test`));
    await one.db.tokens.add(tokenOf(`tok_only${which}`), `c${which}`.repeat(32));
    files.push(join(one.dir, 'oo.backup'));
    writeFileSync(files[which], await bytesOf(one.backups.backup()));
    states.push(await stateOf(one));
  }
  const dir = temporary();
  const seen = new Set<number>();
  for (let loop = 0; loop < 10; loop++) {
    const child = startChild(join(import.meta.dirname, 'fixtures/restore.ts'), [join(dir, 'oo.db'), rawKey, ...files]);
    await until(() => child.lines().length > loop % 3, 20_000);
    await new Promise((resolve) => setTimeout(resolve, (loop * 13) % 71));
    await child.kill('SIGKILL');
    const done = Number(child.lines().at(-1));
    const one = await open({ dir });
    const state = JSON.stringify(await stateOf(one));
    const which = states.findIndex((wanted) => JSON.stringify(wanted) === state);
    assert.ok(which >= 0, `loop ${loop}: neither the one nor the other`);
    seen.add(which);
    // It may have stored the next one, and been killed before it could say so.
    const { revision } = await one.db.configuration.load();
    const [{ reason }] = await one.db.configuration.history.list(1);
    assert.match(reason, /^restore of the backup/);
    assert.ok(which === done || revision > child.lines().length, `loop ${loop}: ${done} was done, ${which} is there`);
    one.db.close();
    opened.splice(opened.indexOf(one), 1);
  }
  assert.is(seen.size, 2, 'kills met both');
});

backup.run();
