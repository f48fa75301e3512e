import type { Connection } from './connection.ts';
import { StoreError } from './failure.ts';

/** A row that makes no sense. */
export function damaged({ where }: Connection, what: string): StoreError {
  const message = `The database ${where}: ${what} was changed by something other than oo, or is damaged.`;
  const hint = 'It is left as it is until a new one takes its place; or restore a backup.';
  return new StoreError('OO_STORE_CORRUPT', message, hint);
}

/** Undefined if it is not JSON. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
