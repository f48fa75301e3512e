import { Hono } from 'hono';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Caller } from '../../src/admin/access.ts';
import type { AuditEntry } from '../../src/admin/audit.ts';
import type { Backups, RestoreOptions, RestoreReport } from '../../src/admin/backup.ts';
import { addBackupCalls, maxBackupBytes } from '../../src/admin/backup-api.ts';
import { createApi } from '../../src/admin/operation.ts';

const api = suite('admin: backups');

const count = { now: 0, backup: 0, added: 0, changed: 0, removed: 0 };
const report: RestoreReport = {
  ...{ madeAt: '2026-01-01T00:00:00.000Z', oo: '1', backupRevision: 3, revision: 7, history: 'kept' },
  ...{ withCertificates: true, routes: count, services: count, settings: count, certificates: count, tokens: count },
  warnings: [],
};

function served(more: Partial<Backups> = {}) {
  const app = new Hono();
  const entries: AuditEntry[] = [];
  const calls: { text: string; options: RestoreOptions }[] = [];
  let ended = false;
  addBackupCalls(
    createApi(app, (entry) => void entries.push(entry)),
    {
      async *backup() {
        try {
          for (let i = 0; i < 1_000; i++) yield Buffer.from(`part ${i}\n`);
        } finally {
          ended = true;
        }
      },
      async restore(file, options) {
        let text = '';
        for await (const chunk of file) text += Buffer.from(chunk).toString();
        calls.push({ text, options });
        return report;
      },
      ...more,
    },
  );
  app.onError((error, c) => c.text(`thrown: ${error.message}`, 500));
  const caller: Caller = { actor: 'token:t', from: '10.0.0.1', scopes: ['admin'] };
  const ask = async (path: string, init: RequestInit = {}, env = { caller }) => app.request(path, init, env);
  return { ask, entries, calls, hasEnded: () => ended };
}

api('the file comes as it is made; who leaves ends it; HEAD begins none', async () => {
  const { ask, entries, hasEnded } = served();
  const head = await ask('/v1/backup', { method: 'HEAD' });
  assert.equal([head.status, head.headers.get('content-type')], [200, 'application/gzip']);
  const whole = await (await ask('/v1/backup')).text();
  assert.is(whole.split('\n').length, 1_001);
  assert.equal(
    entries.map(({ operation, actor, status }) => [operation, actor, status]),
    [['getBackup', 'token:t', 200]],
    'who took one is recorded',
  );
  const other = served();
  const left = await other.ask('/v1/backup');
  const reader = left.body!.getReader();
  await reader.read();
  assert.is(other.hasEnded(), false);
  await reader.cancel();
  assert.is(other.hasEnded(), true);
  assert.is(hasEnded(), true);
});

api('what fails at once has a status; what fails in its midst breaks the answer off', async () => {
  const first = served({
    // biome-ignore lint/correctness/useYield: it fails before
    async *backup() {
      throw new Error('no disk');
    },
  });
  assert.is((await first.ask('/v1/backup')).status, 500);
  const later = served({
    async *backup() {
      yield Buffer.from('a');
      yield Buffer.from('b');
      throw new Error('no disk');
    },
  });
  const answer = await later.ask('/v1/backup');
  assert.is(answer.status, 200);
  await answer.text().then(
    () => assert.unreachable('it is whole'),
    (error) => assert.match(error.message, /no disk/),
  );
});

api('a restore is told by whom, how and with which key, and is recorded', async () => {
  const { ask, calls, entries } = served();
  const headers = { 'oo-backup-key': encodeURIComponent('pass phräse, 16+ characters') };
  const path = '/v1/restore?withoutCertificates=true&reason=oops';
  const answer = await ask(path, { method: 'POST', headers, body: 'the file' });
  assert.equal(await answer.json(), report);
  assert.is(answer.headers.get('etag'), '"7"');
  const [{ text, options }] = calls;
  assert.is(text, 'the file');
  assert.equal(options, {
    ...{ actor: 'token:t', from: '10.0.0.1', reason: 'oops', key: 'pass phräse, 16+ characters' },
    ...{ dryRun: false, withoutCertificates: true },
  });
  assert.equal(
    entries.map(({ operation, ids, revision, status }) => [operation, ids, revision, status]),
    [['restore', ['backup of 2026-01-01T00:00:00.000Z'], 7, 200]],
  );
  await ask('/v1/restore?dryRun=true', { method: 'POST', body: 'x' });
  assert.equal([entries.length, calls[1].options.dryRun], [1, true]);
  await ask('/v1/restore', { method: 'POST' });
  assert.is(calls[2].text, '');
});

api('refusals have their status, and nothing reaches the database', async () => {
  const { ask, calls } = served();
  const statusOf = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await ask(path, { method: 'POST', headers, body: 'x' });
    return [answer.status, ((await answer.json()) as { code: string }).code];
  };
  assert.equal(await statusOf('/v1/restore?dryRun=1'), [400, 'OO_BAD_REQUEST']);
  assert.equal(await statusOf('/v1/restore?dry=true'), [400, 'OO_BAD_REQUEST']);
  assert.equal(await statusOf('/v1/restore', { 'oo-backup-key': '%E0%A4%A' }), [400, 'OO_BAD_REQUEST']);
  assert.equal(await statusOf('/v1/restore', { 'content-length': `${maxBackupBytes + 1}` }), [
    413,
    'OO_BODY_TOO_LARGE',
  ]);
  const weak = { caller: { actor: 'token:t', from: '', scopes: ['routes:write'] as const } };
  for (const [path, method] of [
    ['/v1/backup', 'GET'],
    ['/v1/restore', 'POST'],
  ])
    assert.is((await ask(path, { method }, weak)).status, 403);
  assert.is(calls.length, 0);
  for (const [code, status] of [
    ['OO_BACKUP_DAMAGED', 400],
    ['OO_BACKUP_NEWER', 409],
    ['OO_BACKUP_KEY', 409],
  ] as const) {
    const refusing = served({
      restore: async () => {
        throw Object.assign(new Error('no'), { code, hint: 'do this' });
      },
    });
    const answer = await refusing.ask('/v1/restore', { method: 'POST', body: 'x' });
    const { error, hint, code: said } = (await answer.json()) as Record<string, string>;
    assert.equal([answer.status, said, error, hint], [status, code, 'no', 'do this']);
  }
});

api.run();
