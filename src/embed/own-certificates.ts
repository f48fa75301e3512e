import { readChain } from '../certs/parse.ts';
import type { Certificate } from '../certs/types.ts';
import type { OwnCertificate } from './certificate-types.ts';
import { proveList } from './shape.ts';

/**
 * Proves the embedder's certificates.
 * @param onWarning told of what is odd, one line each
 * @throws TypeError that says which, what is wrong and what to do
 */
export function readOwn(
  list: readonly OwnCertificate[],
  now: number,
  onWarning: (line: string) => void = () => {},
): Certificate[] {
  const certificates = new Map<string, Certificate>();
  proveList('certificates.own', list, 'a list such as [{ cert, key }]');
  for (const [index, each] of list.entries()) {
    const where = `certificates.own[${index}]`;
    const { cert, key } = Object(each) as OwnCertificate;
    if (typeof cert !== 'string' || typeof key !== 'string')
      throw new TypeError(`${where} needs cert and key, each a text in PEM form`);
    const read = readChain(cert, key, now);
    if ('refused' in read) throw new TypeError(`${where}: ${read.message}; ${read.hint}`);
    const { names, chain, keyType, issuer, serial, notBefore, notAfter } = read;
    const ids = names.map((name) => (keyType === 'rsa' ? `${name}+rsa` : name));
    const id = ids.find((each) => !certificates.has(each));
    if (id === undefined)
      throw new TypeError(
        `${where}: others of the list are for all of its names (${names.join(', ')}); give each name once`,
      );
    for (const warning of read.warnings) onWarning(`certificate ${id}: ${warning}`);
    certificates.set(id, {
      ...{ id, names, chain, key: read.key, source: 'saved', keyType, issuer, serial, directory: '' },
      ...{ notBefore, notAfter, createdAt: now, updatedAt: now },
    });
  }
  return [...certificates.values()];
}
