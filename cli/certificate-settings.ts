import type { KeyType } from '../src/certs/types.ts';
import { type Setting, setting } from './setting.ts';
import * as values from './values.ts';

/** The names that `--acme` knows besides a URL. */
export const acmeDirectories = {
  on: 'https://acme-v02.api.letsencrypt.org/directory',
  staging: 'https://acme-staging-v02.api.letsencrypt.org/directory',
} as const;

export type ChallengeType = 'http-01' | 'tls-alpn-01' | 'dns-01';

/** Where the encryption key of the private keys comes from; every command that opens the database needs it. */
export const encryptionSettings = {
  encryptionKey: setting<string | undefined>({
    flag: 'encryption-key',
    value: 'KEY',
    variables: ['OO_ENCRYPTION_KEY', 'OB_ENCRYPTION_KEY'],
    fallback: undefined,
    shown: 'encryption.key in the state directory',
    description: 'Encrypts private keys in the database; better in OO_ENCRYPTION_KEY, where ps does not show it',
    parse: (text) => text,
  }),
};

function optional(flag: string, value: string, variables: readonly string[], description: string, parse = text) {
  return setting<string | undefined>({
    flag,
    value,
    variables,
    fallback: undefined,
    shown: 'none',
    description,
    parse,
  });
}

const text = (given: string) => given;

/** How `oo serve` gets certificates. */
export const certificateSettings = {
  acme: setting<string | null>({
    flag: 'acme',
    value: 'on|off|staging|URL',
    variables: ['OO_ACME', 'OO_ACME_DIRECTORY'],
    fallback: acmeDirectories.on,
    shown: 'on',
    description: "Automatic certificates: Let's Encrypt, none, its staging, or another CA's directory",
    parse: acmeDirectory,
  }),
  acmeFallback: setting<string | null>({
    flag: 'acme-fallback',
    value: 'URL',
    variables: ['OO_ACME_FALLBACK'],
    fallback: null,
    shown: 'off',
    description: "A second CA's directory, tried after the first has failed",
    parse: acmeDirectory,
  }),
  acmeCaFile: optional(
    'acme-ca-file',
    'FILE',
    ['OO_ACME_CA_FILE'],
    "PEM of the root that a private CA's own HTTPS is signed by",
  ),
  acmeEmail: optional(
    'acme-email',
    'ADDRESS',
    ['OO_ACME_EMAIL', 'OB_CONTACT_EMAIL'],
    'Where the CA writes to when something is wrong',
    email,
  ),
  acmeEabKid: optional(
    'acme-eab-kid',
    'ID',
    ['OO_ACME_EAB_KID'],
    'External account binding, where the CA asks for it: the key id',
  ),
  acmeEabKey: optional(
    'acme-eab-key',
    'KEY',
    ['OO_ACME_EAB_KEY'],
    'The same: the HMAC key, in base64url; better in OO_ACME_EAB_KEY, where ps does not show it',
    base64url,
  ),
  acmeProfile: optional(
    'acme-profile',
    'NAME',
    ['OO_ACME_PROFILE'],
    "A certificate profile of the first CA's, such as shortlived or tlsserver",
  ),
  acmeChallenges: setting<readonly ChallengeType[]>({
    flag: 'acme-challenges',
    value: 'LIST',
    variables: ['OO_ACME_CHALLENGES'],
    fallback: ['http-01', 'tls-alpn-01'],
    shown: 'http-01,tls-alpn-01',
    description: 'Ways to prove a host, the first one first; with a DNS hook, dns-01 is added',
    parse: challenges,
  }),
  acmeDnsHook: optional(
    'acme-dns-hook',
    'FILE',
    ['OO_ACME_DNS_HOOK'],
    'A program that sets DNS records: called with present|cleanup, NAME, TOKEN, VALUE. Wildcards need it',
  ),
  keyType: setting<KeyType>({
    flag: 'key-type',
    value: 'ecdsa|rsa',
    variables: ['OO_KEY_TYPE'],
    fallback: 'ecdsa',
    shown: 'ecdsa',
    description: 'Kind of key of automatic certificates (P-256, or RSA of 2048 bits)',
    parse: keyType,
  }),
  onDemandAsk: optional(
    'on-demand-ask',
    'URL',
    ['OO_ON_DEMAND_ASK'],
    'Asked (?domain=HOST) before a host under a wildcard route gets a certificate at its first handshake; 200: yes',
    url,
  ),
  onDemandPerHour: setting({
    flag: 'on-demand-limit',
    value: 'N',
    variables: ['OO_ON_DEMAND_LIMIT'],
    fallback: 20,
    shown: '20',
    description: 'Most certificates an hour that are had that way',
    parse: values.count(1, 100_000),
  }),
  syncCerts: setting<string | boolean>({
    flag: 'sync-certs',
    value: 'true|DIR',
    variables: ['OO_SYNC_CERTS', 'OB_SYNC_CERTS_TO_FILES'],
    fallback: false,
    shown: 'false',
    description: 'Also write certificates as files: certs/live/NAME/*.pem in the state directory or in DIR',
    parse: place,
  }),
};

function acmeDirectory(given: string): string | null {
  const word = given.toLowerCase();
  if (word === 'off' || word === 'false' || word === 'no' || word === '0') return null;
  if (word === 'on' || word === 'true' || word === 'yes' || word === '1') return acmeDirectories.on;
  if (word === 'staging') return acmeDirectories.staging;
  // Over plain HTTP anybody on the way could be the CA.
  if (URL.canParse(given) && new URL(given).protocol === 'https:') return given;
  throw new RangeError('on, off, staging, or the https:// URL of an ACME directory');
}

function email(given: string): string {
  const address = given.replace(/^mailto:/i, '');
  if (/^[^\s@<>,]+@[^\s@<>,]+$/.test(address)) return address;
  throw new RangeError('an e-mail address');
}

function base64url(given: string): string {
  if (/^[\w+/-]{16,}={0,2}$/.test(given)) return given;
  throw new RangeError('a key in base64url, as the CA gives it');
}

function challenges(given: string): ChallengeType[] {
  const list = given.split(/[\s,]+/).filter((one) => one !== '');
  const known = ['http-01', 'tls-alpn-01', 'dns-01'];
  if (list.length > 0 && list.every((one) => known.includes(one))) return [...new Set(list)] as ChallengeType[];
  throw new RangeError(`one or more of ${known.join(',')}`);
}

function keyType(given: string): KeyType {
  if (given === 'ecdsa' || given === 'rsa') return given;
  throw new RangeError('ecdsa or rsa');
}

function url(given: string): string {
  if (URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)) return given;
  throw new RangeError('a URL such as http://127.0.0.1:5555/allowed');
}

/** A switch, or a place. */
function place(given: string): string | boolean {
  try {
    return values.truth(given);
  } catch {
    return given;
  }
}

/** What the settings come to, by their keys. */
export type CertificateValues = {
  -readonly [K in keyof typeof certificateSettings]: (typeof certificateSettings)[K] extends Setting<infer T>
    ? T
    : never;
};
