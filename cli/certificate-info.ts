import { X509Certificate } from 'node:crypto';
import {
  accountKeyId,
  type CertificateInfo,
  CertificateRefusal,
  type ChainLink,
  type FailureInfo,
  type RotateOutcome,
  type SaveRequest,
  type TrustRoot,
} from '../src/admin/certs.ts';
import { coversName, readChain } from '../src/certs/parse.ts';
import type { AcmeAccount, Certificate, IssueFailure } from '../src/certs/types.ts';

/** Stored certificates never change, and to read one takes a fraction of a millisecond: too long for 10,000 at once. */
const known = new WeakMap<Certificate, CertificateInfo>();

/** A certificate as the API shows it. */
export function infoOf(certificate: Certificate): CertificateInfo {
  const info = known.get(certificate) ?? readInfo(certificate);
  known.set(certificate, info);
  return info;
}

/** A chain that can't be read any more: the others are to be seen all the same. */
function readInfo(certificate: Certificate): CertificateInfo {
  const { id, names, issuer, serial, source } = certificate;
  let leaf: X509Certificate | undefined;
  try {
    leaf = new X509Certificate(certificate.chain);
  } catch {
    // What was noted of it when it came is known.
  }
  return {
    id,
    createdAt: iso(certificate.createdAt),
    updatedAt: iso(certificate.updatedAt),
    notBefore: iso(certificate.notBefore),
    notAfter: iso(certificate.notAfter),
    commonName: commonNameOf(leaf?.subject) || names[0],
    dnsNames: names.filter((name) => !/^[0-9.]+$|:/.test(name)),
    issuer,
    serialNumber: serial,
    ...(leaf && {
      isCA: leaf.ca,
      signatureAlgorithm: signatureName(leaf.signatureAlgorithm ?? ''),
      publicKeyBitLength: keyBits(leaf),
    }),
    publicKeyAlgorithm: certificate.keyType === 'rsa' ? 'RSA' : 'ECDSA',
    cert: certificate.chain,
    names,
    source,
  };
}

function keyBits({ publicKey }: X509Certificate): number {
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  return modulusLength ?? { prime256v1: 256, secp384r1: 384, secp521r1: 521 }[namedCurve ?? ''] ?? 0;
}

/** The seed's names: `ecdsa-with-SHA384` → `ECDSA-SHA384`, `sha256WithRSAEncryption` → `SHA256-RSA`. */
function signatureName(openssl: string): string {
  const [, ecdsa] = /^ecdsa-with-(SHA\d+)$/i.exec(openssl) ?? [];
  if (ecdsa) return `ECDSA-${ecdsa.toUpperCase()}`;
  const [, rsa] = /^(sha\d+)WithRSAEncryption$/i.exec(openssl) ?? [];
  return rsa ? `${rsa.toUpperCase()}-RSA` : openssl;
}

function commonNameOf(name: string | undefined): string {
  return /^CN=(.*)$/m.exec(name ?? '')?.[1] ?? '';
}

/** The rows of ACME accounts' keys. The first CA's has the seed's id; others are told apart by their CA's host. */
export function accountRows(accounts: readonly AcmeAccount[], directory: string): (CertificateInfo & Keyed)[] {
  const isMain = (account: AcmeAccount) => account.directory === directory;
  const [main, ...others] = [...accounts].sort(
    (a, b) => Number(isMain(b)) - Number(isMain(a)) || a.createdAt - b.createdAt,
  );
  if (!main) return [];
  const row = (id: string, { createdAt, updatedAt, key }: AcmeAccount) => ({
    id,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
    key,
  });
  return [row(accountKeyId, main), ...others.map((other) => row(`${accountKeyId}@${hostOf(other.directory)}`, other))];
}

/** Not for the API. */
interface Keyed {
  readonly key: string;
}

function hostOf(directory: string): string {
  return URL.canParse(directory) ? new URL(directory).host : directory;
}

/** Each certificate of a PEM chain. */
export function linksOf(chain: string): ChainLink[] {
  const blocks = chain.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    const link = readLink(block);
    return link === undefined ? [] : [link];
  });
}

function readLink(block: string): ChainLink | undefined {
  try {
    const { subject, issuer, validFromDate, validToDate, serialNumber } = new X509Certificate(block);
    return {
      subject: commonNameOf(subject) || oneLine(subject),
      issuer: commonNameOf(issuer) || oneLine(issuer),
      notBefore: validFromDate.toISOString(),
      notAfter: validToDate.toISOString(),
      serialNumber: BigInt(`0x${serialNumber}`).toString(),
    };
  } catch {
    return undefined;
  }
}

function oneLine(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ') || 'no name';
}

/**
 * Proves what a person brings.
 * @param now epoch ms
 * @throws CertificateRefusal
 */
export function readOwn(request: SaveRequest, now: number): { certificate: Certificate; warnings: readonly string[] } {
  const { id, cert, key = privateKeyIn(cert), chain = '' } = request;
  if (key === undefined) throw bad(`${id}: there is no private key`, 'Give it with --key FILE, or in the same PEM.');
  const read = readChain(`${cert}\n${chain}`, key, now);
  if ('refused' in read) throw bad(`${id}: ${read.message}`, read.hint);
  if (!coversName(read.names, id.replace(/\+rsa$/, ''))) {
    const names = read.names.slice(0, 10).join(', ');
    throw bad(
      `${id}: the certificate is for ${names}`,
      `Save it under one of its names: oo cert save ${read.names[0]}`,
    );
  }
  const { names, keyType, issuer, serial, notBefore, notAfter, warnings } = read;
  const times = { notBefore, notAfter, createdAt: now, updatedAt: now };
  const certificate: Certificate = {
    ...{ id, names, chain: read.chain, key: read.key, source: 'saved', keyType },
    ...{ issuer, serial, directory: '', ...times },
  };
  return { certificate, warnings };
}

/** What a certificate of one's own is called where nobody says it. @throws CertificateRefusal for what is none */
export function firstName(cert: string, key: string | undefined, now: number): string {
  const read = readChain(cert, key ?? privateKeyIn(cert) ?? '', now);
  if ('refused' in read) throw bad(read.message, read.hint);
  return read.names[0];
}

function bad(message: string, hint: string): CertificateRefusal {
  const ended = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);
  return new CertificateRefusal(400, 'OO_BAD_CERTIFICATE', ended(message), ended(hint));
}

function privateKeyIn(pem: string): string | undefined {
  return /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/.exec(pem)?.[0];
}

/** The local CA's root as `oo trust` needs it. @param chain PEM that begins with it */
export function rootOf(chain: string): TrustRoot {
  const root = new X509Certificate(chain);
  return {
    cert: root.toString(),
    commonName: commonNameOf(root.subject) || 'oo local CA',
    fingerprint: root.fingerprint256,
    notAfter: root.validToDate.toISOString(),
  };
}

export function failureInfo(failure: IssueFailure): FailureInfo {
  const { at, step, directory, message, hint, problem } = failure;
  return { at: iso(at), step, directory, message, hint, problem };
}

/** A change of the encryption key, in words. @param path the key file that is now in force; undefined: the key was given */
export function rotated({ values, path }: { values: number; path: string | undefined }): RotateOutcome {
  const message =
    path === undefined
      ? 'From now on the server starts only with the new key: set OO_ENCRYPTION_KEY to it, and keep a copy in a safe place.'
      : `The new key is in ${path}: keep a copy in a safe place. Backups of the database need the key of their time.`;
  return { rows: values, message };
}

/** ISO 8601, UTC. @param at epoch ms */
export function iso(at: number): string {
  return new Date(at).toISOString();
}

/** The same, where 0 means none. */
export function isoOrNull(at: number): string | null {
  return at === 0 ? null : iso(at);
}
