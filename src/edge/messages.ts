import type { Route } from '../core/types.ts';
import type { EdgeSettings } from './settings.ts';

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
  | { readonly type: 'drain'; readonly timeoutMs: number };

/** From a worker to the main process. */
export type FromWorker =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'applied'; readonly revision: number }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

/** Names the role of a child process. */
export const workerVariable = 'OO_WORKER';
