import { readFileSync, statSync } from 'node:fs';
import type { CAC } from 'cac';
import { type CommonOptions, idOf, withCertificates, withOffline, withOutput } from './certs-common.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, minute, printable, structured } from './output.ts';

type Options = CommonOptions & { readonly cert?: unknown; readonly key?: unknown; readonly chain?: unknown };

/** Chains and keys are a few KiB. */
const maxFileBytes = 1024 * 1024;

/** `oo cert save`. */
export function addCertSave(program: CAC, io: Io): void {
  const save = program
    .command('cert save <name>', 'Bring a certificate of your own; it takes the place of an automatic one')
    .alias('cert s')
    .example('oo cert save app.example.com --cert fullchain.pem --key privkey.pem')
    .example("oo cert save '*.example.com' --cert cert.pem --chain chain.pem --key privkey.pem")
    .option('--cert <FILE>', 'PEM of the certificate, and of its intermediates unless --chain has them; - for stdin')
    .option('--key <FILE>', 'PEM of the private key, not encrypted; default: it is in the file of --cert')
    .option('--chain <FILE>', 'PEM of the intermediates');
  withOffline(withOutput(save)).action((name: string, options: Options) => saveCert(io, name, options));
}

async function saveCert(io: Io, name: string, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const id = idOf(name);
  if (options.cert === undefined) {
    const hint = `Give its files: oo cert save ${printable(name)} --cert FILE --key FILE`;
    throw usageError('--cert is missing.', hint);
  }
  const cert = await readPem(io, '--cert', options.cert);
  const key = options.key === undefined ? undefined : await readPem(io, '--key', options.key);
  const chain = options.chain === undefined ? undefined : await readPem(io, '--chain', options.chain);
  const [saved] = await withCertificates(io, options, (api) => api.save([{ id, cert, key, chain }]));
  for (const warning of saved.warnings ?? []) io.err(`oo: ${printable(warning)}\n`);
  if (format === 'name') return io.out(`${printable(saved.id)}\n`);
  if (format !== 'table') return io.out(await structured(saved, format));
  const names = printable((saved.names ?? []).join(', '));
  io.out(`saved ${printable(saved.id)} (${names}), valid until ${minute(saved.notAfter ?? saved.updatedAt)}\n`);
}

async function readPem(io: Io, flag: string, given: unknown): Promise<string> {
  if (Array.isArray(given)) throw usageError(`${flag} is given more than once.`, 'Give it once.');
  const path = String(given);
  const text = path === '-' ? Buffer.from(await io.read()).toString() : readText(flag, path);
  if (text.includes('-----BEGIN ')) return text;
  const file = path === '-' ? 'standard input' : path;
  const hint = 'Convert a DER file with openssl x509 -inform der -in FILE, a .pfx with openssl pkcs12 -nodes -in FILE.';
  throw new CliError(`${flag}: ${printable(file)} is not PEM: it has no line that begins with -----BEGIN.`, { hint });
}

function readText(flag: string, path: string): string {
  try {
    if (statSync(path).size > maxFileBytes) throw new Error(`it is over ${maxFileBytes} bytes`);
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const whys: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'this user may not read it',
      EISDIR: 'it is a directory',
    };
    const hint = 'Name a PEM file that this user may read, or - for standard input.';
    throw new CliError(`${flag}: ${printable(path)} can't be read: ${whys[code ?? ''] ?? message}.`, { hint, cause });
  }
}
