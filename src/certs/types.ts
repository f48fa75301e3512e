/**
 * The nouns of certificates, and the seams between their rooms: the manager (src/certs) decides, the issuer talks to a CA, the store
 * (db/) keeps, the publisher (the main process) brings what is served to the data workers. Times are epoch ms.
 */

export type KeyType = 'ecdsa' | 'rsa';

/** Where a certificate comes from: a CA by ACME, a person who saved it, or the local CA. */
export type CertificateSource = 'acme' | 'saved' | 'local';

/** What a data worker needs to serve a certificate. */
export interface ServedCertificate {
  /** `example.com`, `*.example.com`, `192.0.2.1`; an RSA one beside the ECDSA one of a name is `example.com+rsa`. */
  readonly id: string;
  /** DNS names in normal form (lower case, no final dot; a wildcard is `*.example.com`) and IP addresses, the common name first. */
  readonly names: readonly string[];
  /** PEM, the leaf first, then its intermediates. */
  readonly chain: string;
  /** PEM, PKCS#8, not encrypted: in memory and in messages only. */
  readonly key: string;
}

/** A certificate as it is kept. */
export interface Certificate extends ServedCertificate {
  readonly source: CertificateSource;
  readonly keyType: KeyType;
  /** Common name of who signed it: `E6`. */
  readonly issuer: string;
  /** Decimal. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The CA's directory URL; '' unless by ACME. */
  readonly directory: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The steps of getting a certificate, in order: what an error says it failed at. */
export type IssueStep =
  | 'lease'
  | 'directory'
  | 'account'
  | 'order'
  | 'challenge'
  | 'authorization'
  | 'finalize'
  | 'download'
  | 'check'
  | 'store';

/** Why an attempt failed, in words for a person. */
export interface IssueFailure {
  readonly at: number;
  readonly step: IssueStep;
  /** The CA's directory URL, or '' for none. */
  readonly directory: string;
  /** One line: what happened, the CA's problem document in words. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  /** The ACME problem type without its prefix: `rateLimited`, `caa`, `dns`, `connection` …; '' if there was none. */
  readonly problem: string;
  /** The CA asks not to be asked before then (Retry-After, or a date in its text); 0: it did not say. */
  readonly retryAfter: number;
}

/** What is known of the attempts for one certificate id, whether there is a certificate or not. */
export interface CertificateState {
  readonly id: string;
  /** Failed attempts in a row. */
  readonly failures: number;
  readonly lastFailure: IssueFailure | null;
  /** No attempt before then; 0: any time. */
  readonly notBefore: number;
  /** When renewal is due, chosen at random in its window; 0: not chosen yet. */
  readonly renewAt: number;
  /** Which certificate `renewAt` is for: its serial. */
  readonly renewSerial: string;
  /** The CA's renewal window (RFC 9773), if it has said one, and when to ask for it again. */
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly windowUrl: string;
  readonly askWindowAt: number;
  /** `renew` was asked for by a person at this time, and has not been done yet; 0: no. */
  readonly forcedAt: number;
}

/** An ACME account. */
export interface AcmeAccount {
  readonly directory: string;
  /** The account's URL at the CA. */
  readonly url: string;
  /** PEM, PKCS#8. */
  readonly key: string;
  readonly contact: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What must be answered for a CA to believe us; DNS-01 is answered by a hook and never comes here. */
export type Challenge =
  | {
      readonly type: 'http-01';
      /** The identifier that is proven. */
      readonly name: string;
      readonly token: string;
      /** The key authorization: the body of the answer. */
      readonly content: string;
    }
  | {
      readonly type: 'tls-alpn-01';
      /** The server name that the CA asks for: the identifier, or the reverse name of an address (RFC 8738 §6). */
      readonly name: string;
      readonly token: string;
      /** PEM of the self-signed certificate with the acmeIdentifier extension. */
      readonly chain: string;
      readonly key: string;
    };

/** Identifies a challenge among those that are answered now: `http-01 TOKEN`, `tls-alpn-01 NAME`. */
export function challengeKey(challenge: Pick<Challenge, 'type' | 'name' | 'token'>): string {
  return challenge.type === 'http-01' ? `http-01 ${challenge.token}` : `tls-alpn-01 ${challenge.name}`;
}

/** A key that session tickets are sealed with: 48 bytes as `tls.Server.setTicketKeys` takes them, in base64. */
export interface TicketKey {
  readonly key: string;
  readonly createdAt: number;
}

/** A change of the served certificates, numbered by the store. */
export interface CertificateChange {
  readonly version: number;
  readonly save: readonly Certificate[];
  readonly remove: readonly string[];
}

/**
 * Where certificates, accounts, challenges, leases and ticket keys are kept; keys are encrypted at rest. Methods reject with a
 * StoreFailure (`code`, `message`, `hint`), OO_STORE_KEY where the encryption key is not the one that the data were written with.
 */
export interface CertificateStore {
  /** All of them, with the number of the last change. */
  load(): Promise<{ version: number; certificates: readonly Certificate[] }>;
  /** Adds or replaces; `createdAt` of one that is there stays. */
  save(certificate: Certificate): Promise<{ version: number }>;
  /** Returns whether it was there. */
  remove(id: string): Promise<{ version: number; removed: boolean }>;
  /** What others have changed since; everything (`'all'`) where that is not known any more. */
  changesSince(version: number): Promise<CertificateChange | 'all'>;
  states(): Promise<readonly CertificateState[]>;
  /** One of them, by id. Where it is missing, `states` is read. */
  findState?(id: string): Promise<CertificateState | undefined>;
  saveState(state: CertificateState): Promise<void>;
  removeState(id: string): Promise<void>;
  accounts(): Promise<readonly AcmeAccount[]>;
  saveAccount(account: AcmeAccount): Promise<void>;
  putChallenge(challenge: Challenge, expiresAt: number): Promise<void>;
  removeChallenge(key: string): Promise<void>;
  /** One that any process that shares the database has put, unless it has expired. @param key see `challengeKey` */
  findChallenge(key: string, now: number): Promise<Challenge | undefined>;
  /** Takes or extends a lease. Returns whether `holder` has it until then. An expired one is free. */
  takeLease(name: string, holder: string, now: number, until: number): Promise<boolean>;
  releaseLease(name: string, holder: string): Promise<void>;
  ticketKeys(): Promise<readonly TicketKey[]>;
  /** Replaces all of them, if they still are `before` (another process may rotate, too); returns those in force then. */
  replaceTicketKeys(before: readonly TicketKey[], after: readonly TicketKey[]): Promise<readonly TicketKey[]>;
  /** Counts an on-demand issuance against a limit; false if that is used up. */
  countOnDemand(now: number, perHour: number): Promise<boolean>;
  /** Present where others may write too: calls back when the stored version is not `known()`. Returns the stop. */
  watch?(
    known: () => number,
    onVersion: (version: number) => Promise<void>,
    onError: (error: Error) => void,
  ): () => void;
}

/** Brings what is served to every data worker; each resolves when all of them have it. */
export interface CertificatePublisher {
  certificates(change: {
    readonly save: readonly ServedCertificate[];
    readonly remove: readonly string[];
  }): Promise<void>;
  /** @param remove keys as `challengeKey` makes them */
  challenges(change: { readonly save: readonly Challenge[]; readonly remove: readonly string[] }): Promise<void>;
}

/** One certificate to be had. */
export interface IssueRequest {
  readonly id: string;
  /** The common name first; DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly keyType: KeyType;
  /** The certificate that this one takes the place of, for ARI's `replaces`. */
  readonly replaces?: Certificate;
}

/** What issuance needs of its surroundings. */
export interface IssueContext {
  readonly now: () => number;
  /** Makes a challenge known to all who may be asked; resolves when each of our workers answers it. */
  readonly present: (challenge: Challenge) => Promise<void>;
  readonly cleanup: (challenge: Challenge) => Promise<void>;
  /** Told of each step for the log and for who asks. */
  readonly onStep: (step: IssueStep, detail: string) => void;
  /** Aborts: nothing more is sent to the CA. */
  readonly signal: AbortSignal;
}

/** What the CA says of renewal (RFC 9773). */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
  readonly explanationUrl: string;
  /** When to ask again, from Retry-After. */
  readonly askAgainAt: number;
}

/** Something that gives certificates: a CA by ACME, or the local CA. */
export interface Issuer {
  /** The directory URL, or 'local'. */
  readonly directory: string;
  /** @throws IssueError */
  issue(request: IssueRequest, context: IssueContext): Promise<Certificate>;
  /** Undefined where the CA has no ARI. @throws IssueError */
  renewalWindow?(certificate: Certificate, now: number): Promise<RenewalWindow | undefined>;
}

/** A failed attempt, explained. */
export class IssueError extends Error {
  readonly failure: IssueFailure;
  constructor(failure: IssueFailure, cause?: unknown) {
    super(failure.message, { cause });
    this.name = 'IssueError';
    this.failure = failure;
  }
}
