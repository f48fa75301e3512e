import type { Command } from 'cac';
import { badName, certificateId } from '../src/admin/certs.ts';
import { encryptionSettings } from './certificate-settings.ts';
import type { CertificatesApi } from './certs-client.ts';
import { addFlags, readSettings } from './environment.ts';
import { usageError } from './failure.ts';
import type { Io } from './io.ts';
import { callsOf, remoteSettings } from './remote.ts';
import { actorOf } from './routes-api.ts';
import { commonSettings } from './settings.ts';
import { resolveStateDir } from './state.ts';

/** Flags that every command about certificates has. */
export interface CommonOptions {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly offline?: boolean;
  readonly db?: string;
  readonly encryptionKey?: string;
}

const offlineSettings = { ...commonSettings, ...encryptionSettings };

/** Adds the flags of a command that works with a server, and without. */
export function withOffline(command: Command): Command {
  command.option('--offline', 'Work on the database itself; refused while a server runs');
  return addFlags(command, { ...offlineSettings, ...remoteSettings });
}

/** Adds `-o` and `-q`. */
export function withOutput(command: Command): Command {
  command.option('-o, --output <FORMAT>', 'table, json, yaml or name');
  return command.option('-q, --quiet', 'Names only: -o name');
}

/** Opens the server's certificates, or with `--offline` the database's, for the time of `work`. */
export async function withCertificates<T>(
  io: Io,
  options: CommonOptions,
  work: (api: CertificatesApi) => Promise<T>,
): Promise<T> {
  const api = options.offline ? await offlineApi(io, options) : await serverApi(io, options);
  try {
    return await work(api);
  } finally {
    await api.close();
  }
}

async function serverApi(io: Io, options: CommonOptions): Promise<CertificatesApi> {
  for (const flag of ['db', 'encryptionKey'] as const) {
    if (options[flag] === undefined) continue;
    const spelt = flag === 'db' ? '--db' : '--encryption-key';
    throw usageError(
      `${spelt} is for --offline: a running server has its own.`,
      `Add --offline, or leave ${spelt} out.`,
    );
  }
  const { connectCertificates } = await import('./certs-client.ts');
  return connectCertificates(callsOf(io, options as Record<string, unknown>, { offline: true }).call);
}

async function offlineApi(io: Io, options: CommonOptions): Promise<CertificatesApi> {
  refuseRemote(options as Record<string, unknown>);
  const values = readSettings(offlineSettings, options as Record<string, unknown>, io.env);
  const { openOfflineCertificates } = await import('./certificate-offline.ts');
  return openOfflineCertificates({
    stateDir: resolveStateDir(values.stateDir, io.env),
    db: values.db,
    dbToken: values.dbToken,
    encryptionKey: values.encryptionKey,
    actor: actorOf(io.env),
    warn: (message) => io.err(`oo: ${message}\n`),
  });
}

/** `--offline` works on this machine. @throws CliError, exit code 2 */
export function refuseRemote(options: Readonly<Record<string, unknown>>): void {
  const flag = (['server', 'env', 'token'] as const).find((name) => options[name] !== undefined);
  if (flag !== undefined)
    throw usageError(`--offline and --${flag} are given both.`, 'The database is opened here, without any server.');
}

/** A name as a certificate's id. @throws CliError, exit code 2 */
export function idOf(name: string): string {
  const id = certificateId(name);
  if (id !== undefined) return id;
  const { message, hint } = badName(name);
  throw usageError(message, hint);
}
