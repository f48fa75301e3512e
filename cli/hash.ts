import { randomBytes, scrypt } from 'node:crypto';
import type { CAC } from 'cac';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { type AskSecret, secretsOf } from './secret.ts';

/** OWASP's smallest in memory but one: 32 MiB, and about a quarter of a second. */
const cost = { ln: 15, r: 8, p: 3 };
const saltBytes = 16;
const hashBytes = 32;
const maxBytes = 1_000;

/**
 * `oo hash`.
 * @param secrets asks at the terminal; undefined: standard input is read
 */
export function addHashCommand(program: CAC, io: Io, secrets: () => AskSecret | undefined = secretsOf): void {
  program
    // Without a place for it cac would say the password back.
    .command('hash [...nothing]', 'Make the hash of a password, for basicAuth of a route')
    .example('oo hash                                     # asks for it, twice, and shows nothing')
    .example('oo hash < password.txt')
    .example('openssl rand -base64 18 | tee /dev/stderr | oo hash')
    .action(async (nothing: string[]) => {
      if (nothing.length > 0)
        throw usageError(
          'oo hash takes no password as an argument: it would stay in the history of your shell.',
          'Type oo hash and then the password, or send it to standard input.',
        );
      const ask = secrets();
      const password = ask === undefined ? fromInput(await io.read()) : await fromTerminal(ask);
      io.out(`${await hashPassword(password)}\n`);
    });
}

async function fromTerminal(ask: AskSecret): Promise<string> {
  const password = await ask('Password: ');
  prove(password);
  if ((await ask('Again: ')) !== password)
    throw new CliError('The two are not the same.', { hint: 'Try again: oo hash' });
  return password;
}

function fromInput(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CliError('Standard input is not UTF-8.', { hint: 'Send the password as text.', cause });
  }
  const password = text.replace(/\r?\n$/, '');
  prove(password);
  return password;
}

/** RFC 7617 §2: no control characters. */
function prove(password: string): void {
  if (password === '')
    throw new CliError('The password is empty.', { hint: 'Type one, or send it to standard input.' });
  if (/\p{Cc}/u.test(password))
    throw new CliError('The password has a control character or several lines.', { hint: 'Send one line.' });
  if (Buffer.byteLength(password) > maxBytes)
    throw new CliError(`The password is longer than ${maxBytes} bytes.`, { hint: 'Take a shorter one.' });
}

/**
 * The hash of a password, in PHC form, with a salt of its own.
 * @param password in any form of Unicode: browsers differ, so NFC is what counts
 */
export async function hashPassword(password: string): Promise<string> {
  const { ln, r, p } = cost;
  const salt = randomBytes(saltBytes);
  const hash = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, hashBytes, { N: 2 ** ln, r, p, maxmem: 2 ** 27 }, (error, made) => {
      if (error === null) resolve(made);
      else reject(error);
    });
  });
  return `$scrypt$ln=${ln},r=${r},p=${p}$${plain(salt)}$${plain(hash)}`;
}

/** Base64 without padding. */
function plain(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
