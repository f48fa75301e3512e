import { parseRouteId } from '../core/host.ts';

/** A certificate as the API shows it: the seed's fields, then ours. Never a private key. Times are ISO 8601, UTC. */
export interface CertificateInfo {
  /** `example.com`, `example.com+rsa`; of an ACME account's key, which has no certificate, `acme_account+key`. */
  readonly id: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** From here on: only of a certificate. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly commonName?: string;
  readonly dnsNames?: readonly string[];
  /** Common name of who signed it: `E6`. */
  readonly issuer?: string;
  /** Decimal. */
  readonly serialNumber?: string;
  readonly isCA?: boolean;
  readonly signatureAlgorithm?: string;
  readonly publicKeyAlgorithm?: string;
  readonly publicKeyBitLength?: number;
  /** PEM, the leaf first, then its intermediates. */
  readonly cert?: string;
  /** DNS names and IP addresses. */
  readonly names?: readonly string[];
  /** By ACME, saved by a person, or of the local CA. */
  readonly source?: 'acme' | 'saved' | 'local';
}

/** What `save` answers. */
export interface SavedCertificate extends CertificateInfo {
  /** What was mended in the chain, or is odd; each one line. */
  readonly warnings?: readonly string[];
}

/** One certificate of a chain. */
export interface ChainLink {
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly serialNumber: string;
}

/** Why an attempt to get a certificate failed. */
export interface FailureInfo {
  readonly at: string;
  /** `order`, `authorization` …: see IssueStep in src/certs/types.ts. */
  readonly step: string;
  /** The CA's directory URL; '' for none. */
  readonly directory: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  /** The ACME problem's type, `rateLimited`; '' if there was none. */
  readonly problem: string;
}

/** All that is known of one name, whether there is a certificate yet or not. */
export interface CertificateDetail {
  readonly id: string;
  /** Those of the certificate that is there, or that are wanted. */
  readonly names: readonly string[];
  /** Null: there is none yet. */
  readonly certificate: CertificateInfo | null;
  /** False: it is only in memory, since the database could not keep it. */
  readonly stored: boolean;
  /** The leaf first. */
  readonly chain: readonly ChainLink[];
  /** `ecdsa` or `rsa`. */
  readonly keyType: string;
  readonly source: 'acme' | 'saved' | 'local';
  /** The CA's directory URL that it came from; '' for none. */
  readonly directory: string;
  /** Why this name gets none by itself; null: it does, or has one. */
  readonly unmet: { readonly reason: string; readonly hint: string } | null;
  /** Ids of the routes that ask for it. */
  readonly routes: readonly string[];
  /** When renewal is due; null: it is not planned. */
  readonly renewAt: string | null;
  /** The CA's own renewal window, where it has said one (RFC 9773). */
  readonly renewalWindow: { readonly start: string; readonly end: string; readonly explanationUrl: string } | null;
  /** Failed attempts in a row. */
  readonly failures: number;
  readonly lastFailure: FailureInfo | null;
  /** No attempt before then; null: no attempt is planned, or none waits. */
  readonly nextTryAt: string | null;
  /** The attempt that is under way. */
  readonly running: RenewalStep | null;
}

/** A name that routes serve and that has no certificate yet. */
export interface WaitingName {
  readonly id: string;
  /** Why: the last attempt's failure, or what stands in the way. */
  readonly reason: string;
  /** When the next attempt is due; null: none is planned. */
  readonly nextTryAt: string | null;
}

/** What an attempt does now. */
export interface RenewalStep {
  readonly at: string;
  readonly step: string;
  readonly detail: string;
}

/** How an attempt ended. */
export type RenewalOutcome =
  | { readonly certificate: CertificateInfo }
  | { readonly failure: FailureInfo; readonly nextTryAt: string | null };

/** One line of `oo cert check`. */
export interface CheckLine {
  /** `DNS`, `port 80`, `CAA`, `route`, `rate limit` … */
  readonly what: string;
  readonly ok: boolean;
  /** What was found; for what is not ok, what is wrong. */
  readonly message: string;
  /** How to mend it; '' where it is ok. */
  readonly hint: string;
}

/** A certificate of one's own, as it is brought. */
export interface SaveRequest {
  /** In normal form: see `certificateId`. */
  readonly id: string;
  /** PEM: the leaf and its intermediates in any order; a private key in it counts if `key` is left out. */
  readonly cert: string;
  readonly key?: string;
  /** More intermediates. */
  readonly chain?: string;
}

/** What a change of the encryption key came to. */
export interface RotateOutcome {
  /** How many rows are encrypted anew. */
  readonly rows: number;
  /** What the next start needs: where the key is now, in words. */
  readonly message: string;
}

/** The local CA's root certificate. */
export interface TrustRoot {
  /** PEM. */
  readonly cert: string;
  readonly commonName: string;
  /** SHA-256, upper case hex with colons. */
  readonly fingerprint: string;
  readonly notAfter: string;
}

/** Steps and outcome of an attempt that was begun. */
export interface Renewal {
  /** Rejects with a StoreFailure, or a CertificateRefusal. */
  readonly done: Promise<RenewalOutcome>;
}

/**
 * What can be asked of a server's certificates. Ids are in normal form. Methods reject with a CertificateRefusal for what
 * can't be, or a StoreFailure.
 */
export interface CertificateAdmin {
  /** Certificates and ACME accounts' keys, the last updated first. */
  list(): Promise<readonly CertificateInfo[]>;
  /** Names without a certificate, by id. */
  waiting(): Promise<readonly WaitingName[]>;
  /** By id, or else by a name that the certificate covers. Undefined: nothing has or wants this name. */
  get(id: string): Promise<CertificateDetail | undefined>;
  /** Proves all of them, then saves all, or rejects and saves none. Resolves when they are served. */
  save(list: readonly SaveRequest[]): Promise<readonly SavedCertificate[]>;
  /** As `save` proves it, and stores nothing. Left out: an apply can have no certificates. @param request its id default: the certificate's first name @returns with its id */
  prove?(request: Omit<SaveRequest, 'id'> & { readonly id?: string }): Promise<SaveRequest>;
  /** `routes`: those that still ask for it, so that another will be had; undefined: there was none. */
  remove(id: string): Promise<{ readonly routes: readonly string[] } | undefined>;
  /**
   * Begins an attempt now, whatever was planned. Resolves when it has begun.
   * @param onStep told of each step; the attempt goes on whoever listens
   */
  renew(id: string, onStep: (step: RenewalStep) => void): Promise<Renewal>;
  /** Looks, without the CA, at what a CA would look at. */
  check(name: string): Promise<readonly CheckLine[]>;
  /** PEM. `key` only where it was asked for. Undefined: there is none. */
  raw(id: string, withKey: boolean): Promise<{ readonly chain: string; readonly key?: string } | undefined>;
  /** Encrypts everything anew. @param newKey default: the server makes one, where its key is in a file of its own */
  rotateKey(newKey?: string): Promise<RotateOutcome>;
  /** The local CA's root, made if there is none yet. */
  trustRoot(): Promise<TrustRoot>;
}

/** What can't be done, and why. The code is API. */
export class CertificateRefusal extends Error {
  override readonly name = 'CertificateRefusal';
  readonly status: 400 | 404 | 409;
  readonly code: string;
  readonly hint: string;

  constructor(status: 400 | 404 | 409, code: string, message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/** Of an ACME account's key: it has a row in the list, and no certificate. */
export const accountKeyId = 'acme_account+key';

/**
 * A certificate's id in normal form: `Example.COM.` → `example.com`, `*.bücher.example` → `*.xn--bcher-kva.example`,
 * `[2001:DB8::1]` → `2001:db8::1`, each with or without `+rsa`.
 * @returns undefined if it is none
 */
export function certificateId(text: string): string | undefined {
  if (text === accountKeyId || text.startsWith(`${accountKeyId}@`)) return text;
  const [, name, kind] = /^(.*?)(\+rsa)?$/is.exec(text) ?? [];
  const id = parseRouteId(name);
  if (typeof id === 'string' || id.port !== 0 || id.prefix !== '' || id.host === '*') return undefined;
  // 'name/' is a route's id with an empty path.
  if (name.endsWith('/')) return undefined;
  return id.host.replace(/^\[(.*)\]$/, '$1') + (kind ?? '').toLowerCase();
}

/** What the API and the command line say of a name that `certificateId` refuses. */
export function badName(text: string): CertificateRefusal {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  const hint = 'Expected a host such as example.com, *.example.com or 192.0.2.1, with +rsa for its RSA certificate.';
  return new CertificateRefusal(400, 'OO_BAD_NAME', `'${shown.replace(/\p{C}/gu, '?')}' names no certificate.`, hint);
}

/** What the API and the command line say of a name that has no certificate and that nothing asks for. */
export function noCertificate(id: string): CertificateRefusal {
  const hint = 'oo certs ls shows those that are; a name gets one when a route has it, or by oo cert save.';
  return new CertificateRefusal(404, 'OO_NO_CERTIFICATE', `There is no certificate ${id}.`, hint);
}
