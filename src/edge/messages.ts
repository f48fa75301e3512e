import type { Challenge, ServedCertificate } from '../certs/types.ts';
import type { Route } from '../core/types.ts';
import type { EdgeSettings } from './settings.ts';

/** What a worker can't know by itself, and asks before it refuses a handshake or a request. */
export type Question =
  /** A host under a wildcard route that has no certificate: may one be had now? */
  | { readonly what: 'certificate'; readonly name: string }
  /** Challenges that another server on the same database may have put there. */
  | { readonly what: 'http-01'; readonly token: string }
  | { readonly what: 'tls-alpn-01'; readonly name: string };

/** A change of what TLS works with. Keys of sessions are replaced as a whole, unless null. */
export interface TlsChange {
  readonly save: readonly ServedCertificate[];
  /** Ids of certificates. */
  readonly remove: readonly string[];
  readonly challenges: readonly Challenge[];
  /** Keys as `challengeKey` makes them. */
  readonly endedChallenges: readonly string[];
  readonly ticketKeys: readonly string[] | null;
}

/** From the main process to a worker. */
export type ToWorker =
  | { readonly type: 'start'; readonly settings: EdgeSettings }
  /** One part of a change; `last` makes it take effect. `whole`: it replaces all that was. */
  | {
      readonly type: 'routes';
      readonly whole: boolean;
      readonly save: readonly Route[];
      readonly remove: readonly string[];
      readonly revision: number;
      readonly last: boolean;
    }
  /** Takes effect at once; parts of one change have one number. */
  | { readonly type: 'tls'; readonly number: number; readonly change: TlsChange }
  /** To a question: whether to look again. */
  | { readonly type: 'answer'; readonly id: number; readonly yes: boolean }
  | { readonly type: 'drain'; readonly timeoutMs: number };

/** From a worker to the main process. */
export type FromWorker =
  | { readonly type: 'listening'; readonly port: number; readonly httpsPort: number }
  | { readonly type: 'applied'; readonly revision: number }
  | { readonly type: 'tls-applied'; readonly number: number }
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly https: boolean };

/** Names the role of a child process. */
export const workerVariable = 'OO_WORKER';
