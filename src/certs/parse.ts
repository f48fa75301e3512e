import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { KeyType } from './types.ts';

/** A certificate chain that was read and found good to serve. */
export interface Chain {
  /** DNS names in normal form and IP addresses, the common name first. */
  readonly names: readonly string[];
  /** Of the subject; '' if it has none. */
  readonly commonName: string;
  /** Common name of who signed it; its organization, or its whole name, where it has none. */
  readonly issuer: string;
  /** Decimal. */
  readonly serial: string;
  /** Epoch ms. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly keyType: KeyType;
  readonly keyBits: number;
  /** As OpenSSL names it: `ecdsa-with-SHA256`. */
  readonly signatureAlgorithm: string;
  readonly isCA: boolean;
  readonly selfSigned: boolean;
  /** PEM: the leaf first, each signed by the next, nothing else. */
  readonly chain: string;
  /** PEM, PKCS#8; '' if no key was given. */
  readonly key: string;
  /** What was mended or is odd, for a person; each one line. */
  readonly warnings: readonly string[];
}

/** Why a chain or key is not taken. */
export interface ChainRefusal {
  readonly refused:
    | 'not-pem'
    | 'encrypted-key'
    | 'wrong-key'
    | 'weak'
    | 'key-type'
    | 'no-names'
    | 'not-for-servers'
    | 'expired'
    | 'not-yet-valid'
    | 'too-large';
  /** One line: what is wrong. */
  readonly message: string;
  readonly hint: string;
}

const maxChars = 256 * 1024;
const maxCertificates = 20;
const minRsaBits = 2048;
const certificateBlock =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const serverAuth = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

/**
 * Reads a PEM chain, and its key, and proves that a server can serve it. A chain in the wrong order is mended, certificates that
 * don't belong to it are left out; both are said in `warnings`.
 * @param pem certificates; other blocks are passed over, so a file that also holds the key will do
 * @param keyPem the private key, not encrypted, in any of OpenSSL's forms; without one the leaf is the certificate that signed no other
 * @param now epoch ms; without it, times are not looked at
 */
export function readChain(pem: string, keyPem?: string, now?: number): Chain | ChainRefusal {
  const certificates = readCertificates(pem);
  if ('refused' in certificates) return certificates;
  const key = keyPem === undefined ? undefined : readKey(keyPem);
  if (key !== undefined && 'refused' in key) return key;
  const leaf = findLeaf(certificates, key);
  if ('refused' in leaf) return leaf;
  const { path, warnings } = orderFrom(leaf, certificates, now);
  const refusal = weakness(path) ?? unfitForServers(leaf) ?? (now === undefined ? undefined : outOfDate(path, now));
  if (refusal !== undefined) return refusal;
  const { names, commonName } = namesOf(leaf);
  if (names.length === 0)
    return refuse(
      'no-names',
      'the certificate has no names (subjectAltName)',
      'Browsers look at no other field: have it made again with its names as subjectAltName',
    );
  const { keyType, keyBits } = keyOf(leaf)!;
  const selfSigned = signedBy(leaf, leaf);
  return {
    names,
    commonName,
    issuer: commonNameOf(leaf.issuer),
    serial: BigInt(`0x${leaf.serialNumber}`).toString(),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    keyType,
    keyBits,
    signatureAlgorithm: leaf.signatureAlgorithm ?? '',
    isCA: leaf.ca,
    selfSigned,
    chain: path.map((one) => one.toString()).join(''),
    key: key === undefined ? '' : (key.export({ type: 'pkcs8', format: 'pem' }) as string),
    warnings:
      path.length === 1 && !selfSigned
        ? [...warnings, 'it has no intermediate certificates: clients that do not know its issuer will refuse it']
        : warnings,
  };
}

/** Whether a certificate for `names` may be shown for `name`: exactly, or by a wildcard for its first label. */
export function coversName(names: readonly string[], name: string): boolean {
  if (names.includes(name)) return true;
  const dot = name.indexOf('.');
  return dot > 0 && isIP(name) === 0 && !name.startsWith('*') && names.includes(`*${name.slice(dot)}`);
}

/** An IP address in the one form that names are compared in (RFC 5952); undefined if it is none. */
export function normalIp(text: string): string | undefined {
  if (isIP(text) === 4) return text;
  if (isIP(text) !== 6 || text.includes('%')) return undefined;
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

function readCertificates(pem: string): X509Certificate[] | ChainRefusal {
  if (pem.length > maxChars)
    return refuse('too-large', `it has ${pem.length} characters, too many for a chain`, 'Is it the right file?');
  const blocks = pem.match(certificateBlock) ?? [];
  if (blocks.length === 0) {
    const der = pem.startsWith('0\u0082') || pem.startsWith('0\ufffd');
    return refuse(
      'not-pem',
      'it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)',
      der || !pem.includes('-----BEGIN')
        ? 'From DER: openssl x509 -inform der -in FILE -out cert.pem; from PKCS#12: openssl pkcs12 -nodes -in FILE'
        : 'Are certificate and key mixed up?',
    );
  }
  if (blocks.length > maxCertificates)
    return refuse('too-large', `it holds ${blocks.length} certificates`, 'Give the leaf and its intermediates only');
  const certificates: X509Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      certificates.push(new X509Certificate(block));
    } catch {
      const hint = 'Was it cut or changed on its way? Try: openssl x509 -noout -text -in FILE';
      return refuse('not-pem', `its certificate number ${index + 1} cannot be read`, hint);
    }
  }
  return certificates;
}

function readKey(pem: string): KeyObject | ChainRefusal {
  if (pem.length > maxChars) return refuse('too-large', 'the key file is too large for a key', 'Is it the right file?');
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type:.*ENCRYPTED/m.test(pem))
    return refuse(
      'encrypted-key',
      'the key is encrypted with a passphrase',
      'Decrypt it first: openssl pkey -in key.pem -out plain.pem',
    );
  const block = /-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----[^-]*-----END \1-----/.exec(pem)?.[0];
  if (block === undefined)
    return refuse(
      'not-pem',
      'it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)',
      pem.includes('CERTIFICATE-----')
        ? 'Are certificate and key mixed up?'
        : 'From DER: openssl pkey -inform der -in FILE -out key.pem',
    );
  try {
    return createPrivateKey(block);
  } catch {
    return refuse(
      'not-pem',
      'the private key cannot be read',
      'Was it cut or changed on its way? Try: openssl pkey -noout -check -in FILE',
    );
  }
}

function findLeaf(
  certificates: readonly X509Certificate[],
  key: KeyObject | undefined,
): X509Certificate | ChainRefusal {
  if (key === undefined) {
    const signsNone = (one: X509Certificate) =>
      !certificates.some((other) => other !== one && signedBy(other, one) && !same(one, other));
    return certificates.find(signsNone) ?? certificates[0];
  }
  const leaf = certificates.find((one) => isKeyOf(one, key));
  if (leaf !== undefined) return leaf;
  const subject = namesOf(certificates[0]).names[0] ?? commonNameOf(certificates[0].subject);
  return refuse(
    'wrong-key',
    `the key is not the key of the certificate (${subject})`,
    'Compare: openssl x509 -noout -pubkey -in cert.pem, and openssl pkey -pubout -in key.pem; both must print the same',
  );
}

/** Leaf, who signed it, who signed that …, up to a root or to where the file has no more. */
function orderFrom(leaf: X509Certificate, certificates: readonly X509Certificate[], now: number | undefined) {
  const path = [leaf];
  for (let last = leaf; path.length < maxCertificates && !signedBy(last, last); ) {
    const signers = certificates.filter((one) => !path.some((there) => same(there, one)) && signedBy(last, one));
    // Cross-signed: the one that is still good.
    const next = signers.find((one) => now === undefined || one.validToDate.getTime() > now) ?? signers[0];
    if (next === undefined) break;
    path.push(next);
    last = next;
  }
  const warnings: string[] = [];
  const left = certificates.filter((one) => !path.some((there) => same(there, one)));
  if (path.some((one, index) => one !== certificates[index]) && left.length < certificates.length - 1)
    warnings.push('its certificates were in the wrong order: put right, the leaf first');
  if (left.length > 0)
    warnings.push(
      `not part of its chain, and left out: ${left.map(({ subject }) => commonNameOf(subject)).join(', ')}`,
    );
  return { path, warnings };
}

function weakness(path: readonly X509Certificate[]): ChainRefusal | undefined {
  for (const one of path) {
    const which = one === path[0] ? 'the certificate' : `the certificate of ${commonNameOf(one.subject)} in its chain`;
    const key = keyOf(one);
    if (key === undefined)
      return refuse(
        'key-type',
        `${which} has a key of the type ${typeOfKey(one)}`,
        'Browsers take ECDSA (P-256, P-384) and RSA keys',
      );
    if (key.keyType === 'rsa' && key.keyBits < minRsaBits)
      return refuse(
        'weak',
        `${which} has an RSA key of ${key.keyBits} bits`,
        `Clients refuse fewer than ${minRsaBits}: make a new key and certificate`,
      );
    // A root's own signature is not looked at by anyone.
    if (
      /(?:sha1|md5|md2)(?:with|$)|with-?(?:sha1|md5)$/i.test(one.signatureAlgorithm ?? '') &&
      (one === path[0] || !signedBy(one, one))
    )
      return refuse(
        'weak',
        `${which} is signed with ${one.signatureAlgorithm}`,
        'Clients refuse it: have it signed with SHA-256 or better',
      );
  }
  return undefined;
}

function unfitForServers(leaf: X509Certificate): ChainRefusal | undefined {
  const usage = leaf.keyUsage as readonly string[] | undefined;
  if (usage === undefined || usage.some((id) => serverAuth.includes(id))) return undefined;
  return refuse(
    'not-for-servers',
    'the certificate is not for TLS servers (its extended key usage says so)',
    'Have it made with the usage serverAuth',
  );
}

function outOfDate(path: readonly X509Certificate[], now: number): ChainRefusal | undefined {
  for (const one of path) {
    const which = one === path[0] ? 'the certificate' : `the certificate of ${commonNameOf(one.subject)} in its chain`;
    const day = (date: Date) => date.toISOString().slice(0, 19).replace('T', ' ');
    if (one.validToDate.getTime() <= now)
      return refuse(
        'expired',
        `${which} expired at ${day(one.validToDate)} UTC`,
        one === path[0]
          ? 'Get a new one, or let oo get one: remove it, and the route has one by ACME'
          : "Get the chain that is valid now from its issuer's website",
      );
    if (one.validFromDate.getTime() > now)
      return refuse(
        'not-yet-valid',
        `${which} is valid only from ${day(one.validFromDate)} UTC`,
        "Is this machine's clock right? Try: date -u",
      );
  }
  return undefined;
}

function namesOf(one: X509Certificate): { names: string[]; commonName: string } {
  const names = new Set<string>();
  for (const [, kind, value] of (one.subjectAltName ?? '').matchAll(/(DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    // Node quotes values that could be mistaken for more of the list: none of these is a host.
    if (value.startsWith('"')) continue;
    const name = kind === 'DNS' ? normalName(value) : normalIp(value);
    if (name !== undefined) names.add(name);
  }
  const commonName = commonNameOf(one.subject, '');
  const first = normalIp(commonName) ?? normalName(commonName);
  const list = [...names];
  return {
    names: first !== undefined && names.has(first) ? [first, ...list.filter((name) => name !== first)] : list,
    commonName,
  };
}

function normalName(text: string): string | undefined {
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
  return /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name) && name.length <= 255 ? name : undefined;
}

/** Of a name as Node writes it, a line for each part. */
function commonNameOf(name: string | undefined, otherwise?: string): string {
  const part = (type: string) => new RegExp(`^${type}=(.*)$`, 'm').exec(name ?? '')?.[1];
  return part('CN') ?? otherwise ?? part('O') ?? (name ?? '').replaceAll('\n', ', ');
}

function keyOf(one: X509Certificate): { keyType: KeyType; keyBits: number } | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKeyOf(one) ?? {};
  if (type === 'rsa') return { keyType: 'rsa', keyBits: details?.modulusLength ?? 0 };
  const bits = { prime256v1: 256, secp384r1: 384, secp521r1: 521 }[details?.namedCurve ?? ''];
  return type === 'ec' && bits !== undefined ? { keyType: 'ecdsa', keyBits: bits } : undefined;
}

function typeOfKey(one: X509Certificate): string {
  const key = publicKeyOf(one);
  return key?.asymmetricKeyDetails?.namedCurve ?? key?.asymmetricKeyType ?? '(unknown)';
}

/** OpenSSL does not know all kinds. */
function publicKeyOf(one: X509Certificate): KeyObject | undefined {
  try {
    return one.publicKey;
  } catch {
    return undefined;
  }
}

function isKeyOf(one: X509Certificate, key: KeyObject): boolean {
  try {
    return one.checkPrivateKey(key);
  } catch {
    return false;
  }
}

function signedBy(one: X509Certificate, signer: X509Certificate): boolean {
  try {
    return one.checkIssued(signer) && one.verify(signer.publicKey);
  } catch {
    return false;
  }
}

function same(one: X509Certificate, other: X509Certificate): boolean {
  return one === other || one.raw.equals(other.raw);
}

function refuse(refused: ChainRefusal['refused'], message: string, hint: string): ChainRefusal {
  return { refused, message, hint };
}
