import { createReadStream, readFileSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import type { CAC } from 'cac';
import type { Backups, RestoreCount, RestoreReport } from '../src/admin/backup.ts';
import { writeBackup } from './backup-file.ts';
import { encryptionSettings } from './certificate-settings.ts';
import { type CommonOptions, refuseRemote, withOffline } from './certs-common.ts';
import { confirm } from './confirm.ts';
import { readSettings } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured } from './output.ts';
import { progressOf } from './progress.ts';
import { bytesOf, rawCall } from './raw-call.ts';
import { callsOf } from './remote.ts';
import { actorOf } from './routes-api.ts';
import { commonSettings } from './settings.ts';
import { resolveStateDir } from './state.ts';

/** The longest silence of the server, ms: a big restore is one transaction. */
const silenceMs = 600_000;

type BackupFlags = CommonOptions & { readonly force?: boolean };
type RestoreFlags = CommonOptions & {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly withoutCertificates?: boolean;
  readonly backupKeyFile?: unknown;
  readonly reason?: unknown;
};

/** `oo backup`, `oo restore`. */
export function addBackupCommands(program: CAC, io: Io): void {
  const backup = program
    .command('backup <file>', 'Write all that is in the database to a file, while the server runs')
    .example('oo backup oo.backup')
    .example('oo backup - | ssh store "cat > oo.backup"   # - is standard output')
    .example('oo backup --offline oo.backup               # without a server')
    .option('--force', 'Replace a file that is there');
  withOffline(backup).action((file: string, options: BackupFlags) => runBackup(io, file, options));
  const restore = program
    .command('restore <file>', 'Replace all that is in the database by what a backup holds')
    .example('oo restore oo.backup --dry-run              # what it holds, and what it would change')
    .example('oo restore oo.backup')
    .example('oo restore --offline oo.backup              # without a server, on a new machine, too')
    .example('oo restore oo.backup --backup-key-file encryption.key   # from a server with another key')
    .option('--dry-run', 'Prove the file and compare; change nothing')
    .option('--without-certificates', 'Leave certificates and their keys as they are')
    .option('--backup-key-file <FILE>', "The encryption key of the backup's server, where it is another")
    .option('--reason <TEXT>', 'For the history')
    .option('-y, --yes', 'Do not ask')
    .option('-o, --output <FORMAT>', 'table, json or yaml');
  withOffline(restore).action((file: string, options: RestoreFlags) => runRestore(io, file, options));
}

async function runBackup(io: Io, file: string, options: BackupFlags): Promise<void> {
  const progress = progressOf(io);
  const onBytes = (bytes: number) => progress.step(`backup: ${sizeOf(bytes)}`);
  const opened = await backupsOf(io, options, false);
  try {
    onBytes(0);
    if (file === '-') return await toOutput(io, opened.backups.backup());
    const bytes = await writeBackup(file, opened.backups.backup(), options.force === true, onBytes);
    progress.end();
    io.out(`wrote ${printable(file)} (${sizeOf(bytes)})\n`);
    io.err('The encryption key is not in it: keep a copy of that elsewhere, the private keys need it.\n');
  } finally {
    progress.end();
    await opened.close();
  }
}

async function toOutput(io: Io, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  if (io.write === undefined)
    throw usageError(
      'A backup is no text for a terminal.',
      'Name a file, or lead it into one: oo backup - > oo.backup',
    );
  for await (const chunk of chunks) await io.write(chunk);
}

async function runRestore(io: Io, file: string, options: RestoreFlags): Promise<void> {
  const format = formatOf(options, 'table');
  const open = await sourceOf(io, file);
  const key = keyOf(options.backupKeyFile);
  const reason = options.reason === undefined ? undefined : String(options.reason);
  const by = { actor: actorOf(io.env), reason, key, withoutCertificates: options.withoutCertificates === true };
  const opened = await backupsOf(io, options, by.withoutCertificates !== true);
  const progress = progressOf(io);
  const run = async (dryRun: boolean): Promise<RestoreReport> => {
    progress.step(dryRun ? 'proving the backup' : 'restoring');
    return opened.backups.restore(open(), { ...by, dryRun }).finally(() => progress.end());
  };
  try {
    const asks = options.dryRun !== true && options.yes !== true && io.person?.ask !== undefined;
    if (asks) {
      io.err(textOf(await run(true)));
      await confirm(io, 'Replace all of it?', false);
    }
    const report = await run(options.dryRun === true);
    if (format === 'json' || format === 'yaml') return io.out(await structured(report, format));
    if (!asks) io.out(textOf(report));
    io.out(options.dryRun ? 'nothing was changed: a dry run\n' : `restored: revision @${report.revision}\n`);
  } finally {
    await opened.close();
  }
}

/** What is read anew for each try. */
async function sourceOf(io: Io, file: string): Promise<() => Readable> {
  if (file === '-') {
    const bytes = await io.read();
    return () => Readable.from([bytes]);
  }
  try {
    if (!statSync(file).isDirectory()) return () => createReadStream(file);
  } catch (cause) {
    const hint = 'Name a file that oo backup has written, or - for standard input.';
    throw new CliError(`${printable(file)} can't be read: ${(cause as Error).message}.`, { hint, cause });
  }
  throw usageError(`${printable(file)} is a directory.`, 'Name a file that oo backup has written.');
}

function keyOf(file: unknown): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(String(file), 'utf8').trim();
  } catch (cause) {
    const hint = 'Name the key file of the server that made the backup.';
    throw new CliError(`--backup-key-file can't be read: ${(cause as Error).message}.`, { hint, cause });
  }
}

interface OpenedBackups {
  readonly backups: Backups;
  close(): Promise<void>;
}

/** @param keyed see `openOfflineBackups` */
async function backupsOf(io: Io, options: CommonOptions, keyed: boolean): Promise<OpenedBackups> {
  const given = options as Readonly<Record<string, unknown>>;
  if (!options.offline) {
    for (const [flag, spelt] of [
      ['db', '--db'],
      ['encryptionKey', '--encryption-key'],
    ]) {
      if (given[flag] !== undefined)
        throw usageError(`${spelt} is for --offline: a running server has its own.`, `Leave ${spelt} out.`);
    }
    return { backups: remoteBackups(io, given), close: async () => {} };
  }
  refuseRemote(given);
  const values = readSettings({ ...commonSettings, ...encryptionSettings }, given, io.env);
  const { openOfflineBackups } = await import('./backup-offline.ts');
  const { db, dbToken, encryptionKey } = values;
  return openOfflineBackups(
    {
      ...{ stateDir: resolveStateDir(values.stateDir, io.env), db, dbToken, encryptionKey, actor: actorOf(io.env) },
      warn: (message) => io.err(`oo: ${message}\n`),
    },
    keyed,
  );
}

/** By way of a running server. */
function remoteBackups(io: Io, options: Readonly<Record<string, unknown>>): Backups {
  const { call, place } = callsOf(io, options, { offline: true });
  const actor = actorOf(io.env);
  // Says what is wrong where nothing is there, and waits for one that just starts.
  const reach = () => call('GET', '/v1/whoami');
  return {
    async *backup() {
      await reach();
      const answer = await rawCall(place, { method: 'GET', path: '/v1/backup', actor, silenceMs });
      try {
        yield* answer as AsyncIterable<Uint8Array>;
      } catch (cause) {
        const hint = "Try again; the server's log may say why. Nothing was written.";
        throw new CliError('The backup broke off: the connection was cut.', { hint, cause });
      }
    },
    async restore(file, { dryRun, withoutCertificates, key, reason }) {
      await reach();
      const query = new URLSearchParams({ dryRun: String(dryRun === true) });
      if (withoutCertificates) query.set('withoutCertificates', 'true');
      if (reason !== undefined) query.set('reason', reason);
      const headers = {
        'content-type': 'application/gzip',
        ...(key !== undefined && { 'oo-backup-key': encodeURIComponent(key) }),
      };
      const path = `/v1/restore?${query}`;
      const answer = await rawCall(place, {
        method: 'POST',
        path,
        actor,
        headers,
        body: Readable.from(file),
        silenceMs,
      });
      return JSON.parse((await bytesOf(answer)).toString());
    },
  };
}

function textOf(report: RestoreReport): string {
  const { madeAt, oo, backupRevision, withCertificates, history, warnings } = report;
  const kinds = ['routes', 'services', 'settings', 'certificates', 'tokens'] as const;
  const rows = kinds
    .filter((kind) => kind !== 'certificates' || withCertificates)
    .map((kind) => `  ${kind.padEnd(14)}${String(report[kind].backup).padStart(6)}  ${changeOf(report[kind])}`);
  return [
    `the backup of ${printable(madeAt)}, revision @${backupRevision}, by oo ${printable(oo)}`,
    ...rows,
    ...(withCertificates ? [] : ['  certificates stay as they are']),
    history === 'kept'
      ? '  the history goes on: oo rollback undoes it for routes, services and settings'
      : '  with its history',
    ...warnings.map((warning) => `  ${printable(warning)}`),
    '',
  ].join('\n');
}

function changeOf({ added, changed, removed }: RestoreCount): string {
  const parts = Object.entries({ added, changed, removed }).filter(([, count]) => count > 0);
  return parts.length === 0 ? 'as they are' : parts.map(([what, count]) => `${count} ${what}`).join(', ');
}

function sizeOf(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
