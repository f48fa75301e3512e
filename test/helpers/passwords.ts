import { randomBytes, scryptSync } from 'node:crypto';

const plain = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

/** The hash of a password, made at the least cost that is taken: for tests. @param ln the cost, as a power of two */
export function cheapHash(password: string, ln = 10): string {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: 2 ** ln, r: 8, p: 1, maxmem: 2 ** 28 });
  return `$scrypt$ln=${ln},r=8,p=1$${plain(salt)}$${plain(hash)}`;
}

/** The line of Authorization, with its end. */
export function basic(user: string, password: string): string {
  return `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`;
}
