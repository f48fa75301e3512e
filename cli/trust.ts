import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isSea } from 'node:sea';
import type { CAC } from 'cac';
import type { TrustRoot } from '../src/admin/certs.ts';
import { type CommonOptions, withCertificates, withOffline } from './certs-common.ts';
import { CliError } from './failure.ts';
import type { Io } from './io.ts';
import { minute, printable } from './output.ts';
import { placeOf } from './remote.ts';
import { systemHost, type TrustHost } from './trust-host.ts';
import { type TrustResult, trust, untrust } from './trust-stores.ts';

type Options = CommonOptions & { readonly print?: boolean; readonly file?: unknown };

/** `oo trust` and `oo untrust`. @param hostOf the machine; another in tests */
export function addTrustCommands(program: CAC, io: Io, hostOf: () => TrustHost = () => systemHost(io.env)): void {
  const add = program
    .command(
      'trust',
      "Make this machine believe the local CA: its root goes into the system's and the browsers' stores",
    )
    .example('oo trust')
    .example('oo trust --print > oo-local-ca.crt    # for another machine')
    .example('oo trust --file oo-local-ca.crt       # there')
    .option('--print', 'Print the root certificate as PEM, and change nothing')
    .option('--file <FILE>', 'Take the root from a file that --print has made; - for standard input');
  withOffline(add).action((options: Options) => trustRoot(io, options, hostOf));

  program
    .command('untrust', "Take the local CA's root out again, from wherever oo trust has put it")
    .example('oo untrust')
    .action(async () => report(io, await untrust(hostOf()), `sudo ${self()} untrust`));
}

async function trustRoot(io: Io, options: Options, hostOf: () => TrustHost): Promise<void> {
  if (options.file !== undefined) {
    const pem = await rootInFile(io, options.file);
    return report(io, await trust(hostOf(), pem), `sudo ${self()} trust --file ${shellWord(String(options.file))}`);
  }
  const root = await withCertificates(io, options, (api) => api.trustRoot());
  if (options.print) return io.out(root.cert);
  io.err(`${rootText(root)}\n`);
  report(io, await trust(hostOf(), root.cert), commandAsRoot(io, options));
}

/** What root does the same by. */
function commandAsRoot(io: Io, options: Options): string {
  const place = placeOf(io, { ...options });
  const dir = 'url' in place ? '' : ` --state-dir ${shellWord(place.stateDir)}`;
  // Root must not open the database: files of its own would stay there.
  if (options.offline) return `${self()} trust --offline --print${dir} | sudo ${self()} trust --file -`;
  // Another machine's is the user's to ask for, whose token it is.
  return 'url' in place
    ? `${self()} trust --print --server ${place.url} | sudo ${self()} trust --file -`
    : `sudo ${self()} trust${dir}`;
}

/** How to call this program; sudo knows another PATH. */
function self(): string {
  return isSea() ? shellWord(process.execPath) : 'oo';
}

async function rootInFile(io: Io, given: unknown): Promise<string> {
  const path = String(given);
  const text = path === '-' ? Buffer.from(await io.read()).toString() : readText(path);
  try {
    const certificate = new X509Certificate(text);
    if (certificate.ca) return certificate.toString();
  } catch {
    // Told below.
  }
  const hint = 'Make it where oo serve runs: oo trust --print > oo-local-ca.crt';
  throw new CliError(`--file: ${printable(path)} holds no root certificate in PEM.`, { hint });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const hint = 'Name a file that this user may read, or - for standard input.';
    throw new CliError(`--file can't be read: ${printable((cause as Error).message)}.`, { hint, cause });
  }
}

function rootText({ commonName, fingerprint, notAfter }: TrustRoot): string {
  return `The root is ${printable(commonName)}, valid until ${minute(notAfter)}, SHA-256 ${printable(fingerprint)}`;
}

const words: Readonly<Record<TrustResult['did'], string>> = {
  added: 'added to',
  there: 'already in',
  removed: 'taken out of',
  absent: 'not in',
  failed: 'NOT done:',
};

/** A line for each store. @throws CliError if one could not be done */
function report(io: Io, results: readonly TrustResult[], asRoot: string): void {
  for (const { did, where, why, hint } of results) {
    const reason = why ? `: ${why}.${hint ? ` ${hint}` : ''}` : '';
    io.out(`${words[did]} ${printable(where + reason)}\n`);
  }
  const failed = results.filter(({ did }) => did === 'failed');
  if (failed.length === 0) return;
  const hint = failed.some(({ needsRoot }) => needsRoot)
    ? `Root's rights are needed. Run: ${asRoot}`
    : 'The lines above say how to mend it.';
  throw new CliError(
    failed.length === 1 ? 'One store could not be changed.' : `${failed.length} stores could not be changed.`,
    {
      hint,
    },
  );
}

/** A path as a shell takes it. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
