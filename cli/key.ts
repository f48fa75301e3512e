import { readFileSync } from 'node:fs';
import type { CAC } from 'cac';
import { type CommonOptions, withCertificates, withOffline, withOutput } from './certs-common.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured } from './output.ts';

type Options = CommonOptions & { readonly newKeyFile?: unknown };

/** The variable that a new key may be given by. */
export const newKeyVariable = 'OO_NEW_ENCRYPTION_KEY';

/** `oo key rotate`. */
export function addKeyCommands(program: CAC, io: Io): void {
  const rotate = program
    .command('key rotate', 'Encrypt all private keys in the database anew, under another encryption key')
    .example('oo key rotate                              # a new key in the place of the key file')
    .example('oo key rotate --new-key-file new.key       # or - for standard input')
    .example(`${newKeyVariable}=$(openssl rand -base64 32) oo key rotate`)
    .option('--new-key-file <FILE>', `The file that holds the new key (or by ${newKeyVariable}; default: made anew)`);
  withOffline(withOutput(rotate)).action((options: Options) => rotateKey(io, options));
}

async function rotateKey(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const newKey = await newKeyOf(io, options.newKeyFile);
  const outcome = await withCertificates(io, options, (api) => api.rotateKey(newKey));
  if (format === 'json' || format === 'yaml') return io.out(await structured(outcome, format));
  io.out(`${outcome.rows} ${outcome.rows === 1 ? 'value is' : 'values are'} encrypted anew\n`);
  io.err(`${printable(outcome.message)}\n`);
}

async function newKeyOf(io: Io, file: unknown): Promise<string | undefined> {
  const named = io.env[newKeyVariable];
  if (file === undefined) return named || undefined;
  if (Array.isArray(file)) throw usageError('--new-key-file is given more than once.', 'Give it once.');
  if (named) {
    throw usageError(`--new-key-file and ${newKeyVariable} are given both.`, 'Leave one of them out.');
  }
  const path = String(file);
  const text = path === '-' ? Buffer.from(await io.read()).toString() : readKey(path);
  if (text.trim() !== '') return text.trim();
  const hint = `Make one with: openssl rand -base64 32 > ${printable(path === '-' ? 'FILE' : path)}`;
  throw new CliError('The new key is empty.', { hint });
}

function readKey(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const hint = 'Name a file that this user may read, or - for standard input.';
    throw new CliError(`--new-key-file can't be read: ${(cause as Error).message}.`, { hint, cause });
  }
}
