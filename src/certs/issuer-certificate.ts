import { loadAcmeClient } from './issuer-packages.ts';
import { coversName, readChain } from './parse.ts';
import { utc } from './problem.ts';
import type { Certificate, IssueRequest, KeyType } from './types.ts';

/** What came from the CA can't be used. */
export class BadCertificate extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

// RFC 5280, the upper bound of a common name.
const maxCommonName = 64;
/** A CA dates certificates back, if anything. */
const clockToleranceMs = 3_600_000;

/** A new key and a request to have it signed. */
export async function createRequest(names: readonly string[], keyType: KeyType): Promise<{ key: string; csr: string }> {
  const { crypto } = await loadAcmeClient();
  const key = await (keyType === 'rsa' ? crypto.createPrivateRsaKey(2048) : crypto.createPrivateEcdsaKey('P-256'));
  const [first] = names;
  const hasCommonName = !/^[\d.]+$|:/.test(first) && first.length <= maxCommonName;
  const fields = { altNames: [...names], ...(hasCommonName ? { commonName: first } : {}) };
  const [, csr] = await crypto.createCsr(fields, key);
  return { key: key.toString(), csr: derOf(csr.toString()) };
}

/** PEM → DER in base64url, as ACME wants it. */
function derOf(pem: string): string {
  const body = pem.replace(/-----[^-]*-----|\s/g, '');
  return Buffer.from(body, 'base64').toString('base64url');
}

/**
 * Makes sure that what the CA sent is what was ordered, before anything good is replaced with it.
 * @throws BadCertificate
 */
export function checkCertificate(
  pem: string,
  key: string,
  request: IssueRequest,
  directory: string,
  now: number,
): Certificate {
  const chain = readChain(pem, key);
  if ('refused' in chain) throw new BadCertificate(`what the CA sent is not usable: ${chain.message}`, faultOfCa);
  const missing = request.names.filter((name) => !coversName(chain.names, name));
  if (missing.length > 0)
    throw new BadCertificate(
      `the certificate from the CA is for ${chain.names.join(', ')}, and not for ${missing.join(', ')}`,
      faultOfCa,
    );
  if (chain.keyType !== request.keyType)
    throw new BadCertificate(`the certificate from the CA has an ${chain.keyType} key`, faultOfCa);
  if (chain.notAfter <= now || chain.notBefore > now + clockToleranceMs)
    throw new BadCertificate(
      `the certificate from the CA is valid from ${utc(chain.notBefore)} to ${utc(chain.notAfter)}, but it is ${utc(now)} here`,
      "Is this machine's clock right? Try: date -u",
    );
  const { issuer, serial, notBefore, notAfter, keyType } = chain;
  const names = [...request.names, ...chain.names.filter((name) => !request.names.includes(name))];
  return {
    id: request.id,
    names,
    chain: chain.chain,
    key: chain.key,
    source: 'acme',
    keyType,
    issuer,
    serial,
    notBefore,
    notAfter,
    directory,
    createdAt: now,
    updatedAt: now,
  };
}

const faultOfCa = "This is the CA's fault, most often; it is tried again, with growing pauses";
