import type { Clock } from '../clock.ts';
import type { Route } from '../core/types.ts';
import type {
  Certificate,
  CertificatePublisher,
  CertificateSource,
  CertificateStore,
  IssueFailure,
  Issuer,
  IssueStep,
  KeyType,
  TicketKey,
} from './types.ts';

export type { Clock };

/** May a certificate be had for this name? Rejects where nobody could be asked. */
export type Ask = (name: string, signal: AbortSignal) => Promise<boolean>;

export interface ManagerSettings {
  /** The kind of key where a route does not say. Default 'ecdsa'. */
  readonly keyType?: KeyType;
  /** Whether DNS-01 can be answered, without which no public CA gives a wildcard. Default false. */
  readonly wildcards?: boolean;
  /** Certificates for hosts under a wildcard or `*` route. Default null: none. */
  readonly onDemand?: { readonly ask: Ask; readonly perHour: number } | null;
  /** Whether other servers work on the same database: then `poll` must be called, and unknown challenges are looked up. Default false. */
  readonly shared?: boolean;
  /**
   * Who takes leases. Default: a new random id. Where the database is this server's alone, give the same one at each start:
   * what a killed server was about to do is then taken up at once.
   */
  readonly holder?: string;
  /** How many certificates are ordered at once. Default 10. */
  readonly parallel?: number;
  /** The longest that one CA is given for one certificate, ms. Default 10 minutes. */
  readonly attemptTimeoutMs?: number;
}

export interface ManagerOptions {
  readonly store: CertificateStore;
  readonly publisher: CertificatePublisher;
  /** CAs in the order in which they are tried; none: ACME is off. */
  readonly issuers: readonly Issuer[];
  /** For names that no public CA knows; without it they get nothing. */
  readonly local?: Issuer;
  readonly settings?: ManagerSettings;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** From 0 up to 1. Default Math.random. */
  readonly random?: () => number;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
  readonly onEvent?: (event: ManagerEvent) => void;
  /** What the log says to do about a name that gets no certificate. Default: its own hint, which names commands of oo. */
  readonly hintFor?: (unmet: Unmet) => string;
  /** Told of the keys for session tickets at start and whenever they change, the newest first. */
  readonly onTicketKeys?: (keys: readonly TicketKey[]) => void;
}

/** What has happened: for those who keep files or pages up to date. */
export type ManagerEvent =
  /** There is a certificate: issued here, saved by a person, or found in the database (at start, or put there by another server). */
  | { readonly type: 'saved'; readonly certificate: Certificate; readonly by: 'issuer' | 'person' | 'store' }
  | { readonly type: 'removed'; readonly id: string }
  | { readonly type: 'failed'; readonly id: string; readonly failure: IssueFailure; readonly nextTryAt: number };

/** What an attempt does now. */
export interface Progress {
  readonly at: number;
  readonly step: IssueStep;
  readonly detail: string;
}

/** All that is known of one certificate, whether it is there or not. Times are epoch ms; 0: none. */
export interface CertificateStatus {
  readonly id: string;
  /** Those of the certificate that is there, or that are wanted. */
  readonly names: readonly string[];
  readonly keyType: KeyType;
  readonly source: CertificateSource;
  /** Undefined: there is none yet. It holds the private key: never send it on as it is. */
  readonly certificate: Certificate | undefined;
  /** False: its hour is not out, but it is only in memory, since the database could not keep it. */
  readonly stored: boolean;
  /** Ids of the routes that ask for it; empty for one on demand, and where nothing asks for it any more. */
  readonly routes: readonly string[];
  /** Whether it is kept renewed. */
  readonly wanted: boolean;
  /** Failed attempts in a row. */
  readonly failures: number;
  readonly lastFailure: IssueFailure | null;
  /** When the next attempt is due; 0: none is planned. */
  readonly nextTryAt: number;
  /** When it is to be renewed if all goes well; 0: not planned. */
  readonly renewAt: number;
  readonly window: { readonly start: number; readonly end: number; readonly explanationUrl: string } | null;
  /** The attempt that is under way. */
  readonly running: Progress | null;
}

/** A name that routes serve and that gets no certificate. */
export interface Unmet {
  readonly name: string;
  /** Ids of the routes. */
  readonly routes: readonly string[];
  /** One sentence. */
  readonly reason: string;
  /** What to do about it. */
  readonly hint: string;
}

export type RenewOutcome =
  | { readonly certificate: Certificate }
  | { readonly failure: IssueFailure; readonly nextTryAt: number };

export type RenewStart =
  /** The attempt runs; `done` never rejects. */
  | { readonly kind: 'begun'; readonly done: Promise<RenewOutcome> }
  /** No certificate has this id, and no route asks for one. */
  | { readonly kind: 'unknown' }
  /** It was saved by a person, who alone can bring the next one. */
  | { readonly kind: 'own' }
  /** It is automatic, but nobody may order the next one: ACME is off. */
  | { readonly kind: 'off' };

/** Keeps a certificate for each name that routes serve: gets, keeps, renews and publishes them. The only issuer of a server. */
export interface CertificateManager {
  /**
   * Loads and publishes all that is stored, then begins to get what is missing. Resolves when all workers have what was stored.
   * @throws StoreFailure: nothing is running then
   */
  start(routes: Iterable<Route>): Promise<void>;
  /** To be told all routes after every change. What is missing is got in the background. */
  routesChanged(routes: Iterable<Route>): void;
  /** Takes over what other servers have changed in a shared database. Resolves when it is published. */
  poll(): Promise<void>;
  /** Keeps and publishes a person's own certificate, proven by the caller. Resolves when it is served. @throws StoreFailure */
  save(certificate: Certificate): Promise<void>;
  /** Takes one away. What routes still ask for is then got anew. Returns whether it was there. @throws StoreFailure */
  remove(id: string): Promise<boolean>;
  /** Begins an attempt now, whatever was planned, or joins the one that runs. @param onStep told of each step */
  renew(id: string, onStep?: (progress: Progress) => void): Promise<RenewStart>;
  /** By id, or else by a name that is covered or wanted. */
  status(id: string): CertificateStatus | undefined;
  /** Of every certificate that is there or wanted, in no order that means anything. Not of the local CA's own. */
  list(): CertificateStatus[];
  /** Names that get no certificate, and why. */
  unmet(): readonly Unmet[];
  /**
   * A worker was asked for a name that it has no certificate for. Resolves with true when it is worth looking again: all
   * workers have one then. It may take as long as an order, if the ask URL says yes or the certificate is being got anyway.
   */
  askOnDemand(name: string): Promise<boolean>;
  /** A worker was asked for a challenge that it does not know. @param key as `challengeKey` makes them @returns as askOnDemand */
  askChallenge(key: string): Promise<boolean>;
  /** Resolves when nothing is under way and nothing is due. */
  settled(): Promise<void>;
  /** Ends all attempts, gives the leases back. Nothing is published after it has resolved. */
  stop(): Promise<void>;
}
