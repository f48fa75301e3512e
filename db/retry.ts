import type { Connection } from './connection.ts';
import { isPassing, storeError } from './failure.ts';

/** How often work that failed for a passing reason (BUSY, network) is tried in all. */
export const attempts = 3;

/** Repeats work that may be done twice, such as a read, when it failed for a passing reason. @throws StoreError */
export async function again<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const failure = storeError(error, connection.where);
      if (!isPassing(failure) || attempt === attempts) throw failure;
    }
  }
}
