import type { ServedCertificate } from '../../src/certs/types.ts';

function pem(label: string, text: string): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(text).toString('base64')}\n-----END ${label}-----\n`;
}

/** A certificate whose files say which version they are of. */
export function pairOf(id: string, version: number): ServedCertificate {
  const chain = pem('CERTIFICATE', `leaf ${version}`) + pem('CERTIFICATE', `intermediate ${version}`);
  return { id, names: [id], chain, key: pem('PRIVATE KEY', `key ${version}`) };
}

/** What a file of `pairOf` holds, in words. */
export function wordsOf(text: string): string[] {
  return [...text.matchAll(/-----\n(\S+)\n-----END/g)].map(([, body]) => Buffer.from(body, 'base64').toString());
}
