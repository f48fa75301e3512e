import { createHash, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../clock.ts';
import { loadX509 } from './issuer-packages.ts';
import { takeLease } from './lease.ts';
import type { Clock } from './manager-types.ts';
import { readChain } from './parse.ts';
import {
  type Certificate,
  type CertificateStore,
  IssueError,
  type IssueRequest,
  type Issuer,
  type KeyType,
} from './types.ts';
import { localRootId } from './wanted.ts';

const day = 86_400_000;
const rootLifetimeMs = 3650 * day;
/** Short, since they cost nothing: a machine that is off for three weeks comes back with valid ones. */
const leafLifetimeMs = 30 * day;
/** Another machine's clock may go after ours. */
const backdateMs = 3_600_000;
/** A root is replaced when its leaves would outlive it. */
const rootLeftMs = 2 * leafLifetimeMs;
const leaseTries = 100;
const leasePauseMs = 100;

/** The local CA's root, as `oo trust` needs it. */
export interface LocalRoot {
  /** PEM. */
  readonly chain: string;
  readonly commonName: string;
  /** SHA-256 of the certificate, in capital hex digits with colons. */
  readonly fingerprint: string;
  readonly notAfter: number;
}

export interface LocalIssuer extends Issuer {
  /** The root; made if there is none yet. @throws StoreFailure */
  root(): Promise<LocalRoot>;
  /** Has the root read from the store again: a backup with another one was restored. */
  forget(): void;
}

export interface LocalIssuerOptions {
  readonly store: Pick<CertificateStore, 'load' | 'save' | 'takeLease' | 'releaseLease'>;
  readonly holder: string;
  readonly clock?: Clock;
  /** Named in the root's common name. Default: this machine's. */
  readonly host?: string;
  readonly log: (line: string) => void;
}

type Library = Awaited<ReturnType<typeof loadX509>>;

/** A root with its key, ready to sign. */
interface Signer {
  readonly certificate: Certificate;
  readonly key: webcrypto.CryptoKey;
}

/**
 * A CA of this installation's own, for names that no public CA knows. Its root is made at first use and kept in the store, its key
 * encrypted as all are; servers that share a database have one root.
 */
export function createLocalIssuer(options: LocalIssuerOptions): LocalIssuer {
  const clock = options.clock ?? systemClock;
  let signer: Promise<Signer> | undefined;

  function ready(): Promise<Signer> {
    signer ??= openRoot(options, clock).catch((error) => {
      signer = undefined;
      throw error;
    });
    return signer.then((known) => {
      if (clock.now() < known.certificate.notAfter - rootLeftMs) return known;
      signer = undefined;
      return ready();
    });
  }

  return {
    directory: 'local',
    forget() {
      signer = undefined;
    },
    async root() {
      const { certificate } = await ready();
      return describeRoot(certificate);
    },
    async issue(request, context) {
      context.onStep('order', request.names.join(' '));
      const root = await ready();
      context.signal.throwIfAborted();
      context.onStep('finalize', '');
      return makeLeaf(await library(), request, root, context.now());
    },
  };
}

function describeRoot({ chain, names, notAfter }: Certificate): LocalRoot {
  const { raw } = new NodeCertificate(chain);
  const hex = createHash('sha256').update(raw).digest('hex').toUpperCase();
  return { chain, commonName: names[0], fingerprint: hex.match(/../g)!.join(':'), notAfter };
}

/** Loads the root, or makes it while no other server can. */
async function openRoot(options: LocalIssuerOptions, clock: Clock): Promise<Signer> {
  const { store, log } = options;
  const load = async () => {
    const { certificates } = await store.load();
    return certificates.find(({ id, notAfter }) => id === localRootId && clock.now() < notAfter - rootLeftMs);
  };
  const lib = await library();
  const stored = await load();
  if (stored !== undefined) return { certificate: stored, key: await importKey(stored) };
  for (let i = 0; i < leaseTries; i++) {
    const lease = await takeLease({ store, clock, holder: options.holder }, `certificate ${localRootId}`, () => {});
    if (lease === undefined) {
      await sleep(leasePauseMs);
      continue;
    }
    try {
      const others = await load();
      if (others !== undefined) return { certificate: others, key: await importKey(others) };
      const made = await makeRoot(lib, options.host ?? hostname(), clock.now());
      await store.save(made.certificate);
      log(`local CA: made '${made.certificate.names[0]}'; oo trust makes browsers on this machine trust it`);
      return made;
    } finally {
      await lease.release();
    }
  }
  throw new IssueError({
    at: clock.now(),
    step: 'lease',
    directory: 'local',
    message: 'another server on this database has been making the local CA for too long',
    hint: 'It may have been killed: its lease ends by itself within a minute.',
    problem: '',
    retryAfter: 0,
  });
}

let loaded: Promise<Library> | undefined;

/** It takes a moment to load, and most servers have no local names. */
function library(): Promise<Library> {
  loaded ??= (async () => {
    const lib = await loadX509();
    lib.cryptoProvider.set(webcrypto as Crypto);
    return lib;
  })();
  return loaded;
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const rsa = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;

function makeKeys(keyType: KeyType): Promise<webcrypto.CryptoKeyPair> {
  const usages = ['sign', 'verify'] as const;
  return keyType === 'rsa'
    ? webcrypto.subtle.generateKey(rsa, true, usages)
    : webcrypto.subtle.generateKey(ecdsa, true, usages);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

function importKey({ key }: Certificate): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, ecdsa, false, ['sign']);
}

/** 16 bytes, positive: RFC 5280 §4.1.2.2 allows 20. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function makeRoot(lib: Library, host: string, now: number): Promise<Signer> {
  const keys = await makeKeys('ecdsa');
  // A number of its own in the name: browsers mix up roots of one name and several keys.
  const commonName = `oo local CA ${host.slice(0, 40)} ${randomBytes(3).toString('hex')}`;
  const serial = newSerial();
  const notBefore = seconds(now - backdateMs);
  const notAfter = seconds(now + rootLifetimeMs);
  const { KeyUsageFlags } = lib;
  const made = await lib.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: [{ CN: [commonName] }, { O: ['oo'] }],
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: ecdsa,
    keys: keys as CryptoKeyPair,
    extensions: [
      new lib.BasicConstraintsExtension(true, 0, true),
      new lib.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await lib.SubjectKeyIdentifierExtension.create(keys.publicKey as CryptoKey),
    ],
  });
  return {
    key: keys.privateKey,
    certificate: {
      id: localRootId,
      names: [commonName],
      chain: `${made.toString('pem')}\n`,
      key: await exportKey(keys.privateKey),
      source: 'local',
      keyType: 'ecdsa',
      issuer: commonName,
      serial: BigInt(`0x${serial}`).toString(),
      notBefore,
      notAfter,
      directory: '',
      createdAt: now,
      updatedAt: now,
    },
  };
}

async function makeLeaf(lib: Library, request: IssueRequest, root: Signer, now: number): Promise<Certificate> {
  const { id, names, keyType } = request;
  const keys = await makeKeys(keyType);
  const issuer = new lib.X509Certificate(root.certificate.chain);
  const { KeyUsageFlags, ExtendedKeyUsage } = lib;
  const usage = KeyUsageFlags.digitalSignature | (keyType === 'rsa' ? KeyUsageFlags.keyEncipherment : 0);
  const [commonName] = names;
  const made = await lib.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    // At most 64 characters fit (RFC 5280, ub-common-name); clients read the subjectAltName only.
    subject: commonName.length <= 64 ? [{ CN: [commonName] }] : [{ O: ['oo'] }],
    issuer: issuer.subjectName,
    notBefore: new Date(seconds(now - backdateMs)),
    notAfter: new Date(seconds(Math.min(now + leafLifetimeMs, root.certificate.notAfter))),
    publicKey: keys.publicKey as CryptoKey,
    signingKey: root.key as CryptoKey,
    signingAlgorithm: ecdsa,
    extensions: [
      new lib.BasicConstraintsExtension(false, undefined, true),
      new lib.KeyUsagesExtension(usage, true),
      new lib.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new lib.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }) as const),
      ),
      await lib.AuthorityKeyIdentifierExtension.create(issuer),
      await lib.SubjectKeyIdentifierExtension.create(keys.publicKey as CryptoKey),
    ],
  });
  const chain = readChain(`${made.toString('pem')}\n`, await exportKey(keys.privateKey), now);
  if ('refused' in chain) throw new Error(chain.message);
  return {
    id,
    names,
    chain: chain.chain,
    key: chain.key,
    source: 'local',
    keyType,
    issuer: root.certificate.names[0],
    serial: chain.serial,
    notBefore: chain.notBefore,
    notAfter: chain.notAfter,
    directory: '',
    createdAt: now,
    updatedAt: now,
  };
}

/** Certificates know no milliseconds. */
function seconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
