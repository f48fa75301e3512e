import type { AcmeIssuerOptions } from '../certs/issuer.ts';
import type { Ask } from '../certs/manager-types.ts';
import type { CertificateSource, IssueFailure, KeyType } from '../certs/types.ts';

/** A certificate that the embedder brings and renews. Its names are its own (subjectAltName). */
export interface OwnCertificate {
  /** PEM: the leaf, then its intermediates. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
}

/** A CA that speaks ACME (RFC 8555). */
export interface AcmeOptions
  extends Pick<AcmeIssuerOptions, 'directory' | 'ca' | 'eab' | 'profile' | 'challenges' | 'dnsHook'> {
  /** Where the CA writes to. Default: nowhere. */
  readonly email?: string;
}

/** Where HTTPS has its certificates from: one's own first, then the CAs in their order; local names from the local CA. */
export interface CertificateOptions {
  readonly own?: readonly OwnCertificate[];
  /** One, or several in the order in which they are tried. Default: none. */
  readonly acme?: AcmeOptions | readonly AcmeOptions[];
  /**
   * Whether a CA of this edge's own gives certificates for names that no public CA knows (`app.localhost`, `db.test`, 10.0.0.1). Default true.
   */
  readonly local?: boolean;
  /**
   * Where certificates, keys and accounts outlive the process: a directory, or something of one's own. Default: in memory only, so
   * that a CA is asked anew at each start: not for a public one, which limits that.
   */
  readonly storage?: string | CertificateStorage;
  /** Default ecdsa. */
  readonly keyType?: KeyType;
  /** Certificates at the first visit, for hosts under a wildcard or `*` route. Default: none. */
  readonly onDemand?: {
    /** May a certificate be had for this name? */
    readonly ask: Ask;
    /** At most so many an hour. Default 20. */
    readonly perHour?: number;
  };
}

/** A record's name, and a text that is another one after each write. */
export interface StorageEntry {
  readonly name: string;
  readonly mark: string;
}

/**
 * Where records are kept: short texts under names such as `certificates/app.example.com`. They hold private keys. Several processes may share it.
 * Methods reject where it is out of reach: what was to be kept is then kept in memory, and tried again.
 */
export interface CertificateStorage {
  /** The records whose names begin with `prefix`. */
  list(prefix: string): Promise<readonly StorageEntry[]>;
  /** Undefined for one that is not there. */
  read(name: string): Promise<string | undefined>;
  /** Adds or replaces: whoever reads meets the old text or the new one. */
  write(name: string, text: string): Promise<void>;
  /** Adds it if it is not there. @returns whether it was added */
  create(name: string, text: string): Promise<boolean>;
  /** @returns whether it was there */
  remove(name: string): Promise<boolean>;
}

/** How one certificate, or a name that gets none, is. Times are epoch ms; 0: none. */
export interface CertificateInfo {
  readonly id: string;
  readonly names: readonly string[];
  /** Whether handshakes get one that has not expired. */
  readonly served: boolean;
  readonly source: CertificateSource;
  /** Common name of who signed it; '' where there is none. */
  readonly issuer: string;
  readonly notAfter: number;
  /** Decimal; '' where there is none. */
  readonly serial: string;
  /** When it is renewed if all goes well. */
  readonly renewAt: number;
  readonly failures: number;
  /** Why the last attempt failed, or why none is made; '' for nothing to say. */
  readonly reason: string;
  /** What to do about it; '' for nothing. */
  readonly hint: string;
}

export type CertificateNews =
  | { readonly type: 'saved'; readonly id: string; readonly names: readonly string[]; readonly notAfter: number }
  | { readonly type: 'removed'; readonly id: string }
  | { readonly type: 'failed'; readonly id: string; readonly failure: IssueFailure; readonly nextTryAt: number };
