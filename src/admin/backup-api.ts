import type { Context } from 'hono';
import * as v from 'valibot';
import { callerOf } from './access.ts';
import { note } from './audit.ts';
import { asBackupRefusal, type Backups } from './backup.ts';
import type { Api } from './operation.ts';
import { refuse } from './reply.ts';

/** The largest file that is taken, bytes as they come. */
export const maxBackupBytes = 1024 * 1024 * 1024;
/** The field of the head that brings the encryption key of a backup from elsewhere, percent-encoded. */
export const backupKeyField = 'oo-backup-key';
const type = 'application/gzip';

const flag = (about: string) => v.optional(v.pipe(v.picklist(['true', 'false']), v.description(about)));

const restoreQuery = v.strictObject({
  dryRun: flag('Proves the file and compares; stores nothing.'),
  withoutCertificates: flag('Leaves certificates as they are: no key is needed then.'),
  reason: v.optional(v.pipe(v.string(), v.description('For the history.'))),
});

const count = v.object({
  ...{ now: v.number(), backup: v.number(), added: v.number(), changed: v.number(), removed: v.number() },
});

const restoredWire = v.object({
  madeAt: v.pipe(v.string(), v.description('When the backup was made, RFC 3339.')),
  oo: v.pipe(v.string(), v.description('By which version.')),
  backupRevision: v.number(),
  revision: v.pipe(v.number(), v.description('The one that was made; with dryRun the present one.')),
  history: v.pipe(v.picklist(['backup', 'kept']), v.description('Whose history it is now.')),
  withCertificates: v.boolean(),
  ...{ routes: count, services: count, settings: count, certificates: count, tokens: count },
  warnings: v.array(v.string()),
});

/** GET `/v1/backup`, POST `/v1/restore`: all that is in the database, to a file and back. */
export function addBackupCalls({ on }: Api, backups: Backups): void {
  on(
    {
      ...{ id: 'getBackup', method: 'get', path: '/v1/backup', tag: 'backup', scope: 'admin' },
      summary: 'All that is in the database, as one file',
      description:
        'Consistent while the server runs. Private keys in it are encrypted, tokens hashed; the encryption key is not in it. A connection that is cut before the end brings no backup.',
      answers: { 200: { description: 'gzip.', type } },
    },
    async (c) => {
      // HEAD comes here, too, and would leave what it has begun.
      if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': type });
      const chunks = backups.backup()[Symbol.asyncIterator]();
      // The first before the head: what fails at once has a status of its own.
      let next = await chunks.next();
      const body = new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            if (next.done) return controller.close();
            controller.enqueue(next.value);
            next = await chunks.next();
          },
          cancel: async () => void (await chunks.return?.()),
        },
        { highWaterMark: 1 },
      );
      return c.body(body, 200, { 'content-type': type, 'cache-control': 'no-store' });
    },
  );
  on(
    {
      ...{ id: 'restore', method: 'post', path: '/v1/restore', tag: 'backup', scope: 'admin' },
      summary: 'Replaces all that is in the database by what a backup holds',
      description:
        'The body is the file. It is proven as a whole, then stored in one transaction, and in force when this is answered; requests go on meanwhile. Tokens are those of the backup from then on. A backup from a server with another encryption key needs that: percent-encoded, in the field OO-Backup-Key.',
      query: restoreQuery,
      answers: {
        200: { description: 'What was done, or with dryRun would be.', schema: restoredWire },
        409: { description: 'A later oo made it, or its key is missing.' },
      },
    },
    (c) => restore(c, backups),
  );
}

async function restore(c: Context, backups: Backups): Promise<Response> {
  const asked = v.safeParse(restoreQuery, c.req.query());
  if (!asked.success) {
    const hint = `It has ${Object.keys(restoreQuery.entries).join(', ')}; dryRun and withoutCertificates are true or false.`;
    return refuse(c, 400, { error: 'A parameter is not as it must be.', code: 'OO_BAD_REQUEST', hint });
  }
  const key = keyOf(c);
  if (key instanceof Response) return key;
  if (Number(c.req.header('content-length') ?? 0) > maxBackupBytes) return tooLarge(c);
  const { dryRun, withoutCertificates, reason } = asked.output;
  const { actor, from } = callerOf(c);
  const size = { bytes: 0 };
  try {
    const report = await backups.restore(counted(c.req.raw.body ?? new Blob([]).stream(), size), {
      ...{ actor, from, reason, key },
      ...{ dryRun: dryRun === 'true', withoutCertificates: withoutCertificates === 'true' },
    });
    note(c, { ids: [`backup of ${report.madeAt}`], ...(dryRun !== 'true' && { revision: report.revision }) });
    c.header('ETag', `"${report.revision}"`);
    return c.json(report);
  } catch (error) {
    if (size.bytes > maxBackupBytes) return tooLarge(c);
    const refusal = asBackupRefusal(error);
    if (refusal === undefined) throw error;
    const { message, code, hint } = refusal;
    return refuse(c, code === 'OO_BACKUP_DAMAGED' ? 400 : 409, { error: message, code, hint });
  }
}

function keyOf(c: Context): string | undefined | Response {
  const field = c.req.header(backupKeyField);
  if (field === undefined) return undefined;
  try {
    return decodeURIComponent(field);
  } catch {
    const hint = 'Send it percent-encoded.';
    return refuse(c, 400, { error: 'OO-Backup-Key can not be read.', code: 'OO_BAD_REQUEST', hint });
  }
}

async function* counted(body: ReadableStream<Uint8Array>, size: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    size.bytes += chunk.length;
    if (size.bytes > maxBackupBytes) throw new RangeError('the backup is too large');
    yield chunk;
  }
}

function tooLarge(c: Context): Response {
  const hint = 'Restore it on the machine itself: oo restore FILE --offline.';
  return refuse(c, 413, { error: `The body is over ${maxBackupBytes} bytes.`, code: 'OO_BODY_TOO_LARGE', hint });
}
