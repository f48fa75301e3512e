import type { Client } from '@libsql/client/http';
import type { Connection, Rows } from './connection.ts';
import { StoreError, storeError } from './failure.ts';

/** The longest that one request to the database server may take, ms. */
const timeoutsMs = { read: 10_000, write: 60_000 };

/** Whether a database is behind this URL, and in no file. */
export function isRemote(url: string): boolean {
  return /^(libsql|https?):/i.test(url);
}

/**
 * A database behind a URL (`libsql://`, `https://`, `http://`), over HTTP: each call is one request, with no state
 * between them. Nothing is sent before the first call.
 * @throws StoreError for a URL that cannot be used
 */
export async function openRemote(url: string, authToken?: string): Promise<Connection> {
  const where = withoutSecrets(url);
  // Imported here: a server on a file never loads it.
  const { createClient } = await import('@libsql/client/http');

  function client(mode: 'read' | 'write'): Client {
    return createClient({
      url,
      authToken,
      fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(timeoutsMs[mode]) }).catch(unreachable),
    });
  }

  refuseSecrets(url, where, authToken);
  try {
    client('read').close();
  } catch (error) {
    const hint = 'Give a URL such as libsql://name.example.com, https://…, or file:/path/oo.db.';
    throw new StoreError('OO_STORE_UNOPENABLE', `The database URL ${where} cannot be used.`, hint, error);
  }
  return {
    where,
    shared: true,
    async run(statements, mode): Promise<Rows[]> {
      // One for each call: a client remembers a failed start, and counts calls that were cut short (a Worker's request that is gone) as under way.
      const own = client(mode);
      try {
        const results = await own.batch(
          statements.map(({ sql, args }) => ({ sql, args: [...args] })),
          mode === 'write' ? 'write' : 'deferred',
        );
        return results.map(({ rows, columns }) => rows.map((row) => columns.map((_, i) => row[i])));
      } catch (error) {
        throw storeError(error, where);
      } finally {
        own.close();
      }
    },
    close() {},
  };
}

/** What fetch can't send, it would name in its error, which is logged. @throws StoreError */
function refuseSecrets(url: string, where: string, authToken = ''): void {
  const { username = '', password = '' } = URL.canParse(url) ? new URL(url) : {};
  if (username !== '' || password !== '') {
    const hint = 'Give the URL without them, and the token of the database by itself.';
    throw new StoreError('OO_STORE_UNOPENABLE', `The database URL ${where} has a user or a password in it.`, hint);
  }
  if (/[^\x21-\x7e]/.test(authToken)) {
    const hint = 'Perhaps it was read from a file, with the end of its line: leave that out.';
    throw new StoreError('OO_STORE_REFUSED', `The token of ${where} has a space or a line break in it.`, hint);
  }
}

/** Each runtime has its own words for it. */
function unreachable(error: unknown): never {
  throw new TypeError(`fetch failed: ${(error as Error)?.message}`, { cause: error });
}

/** The URL without user, password and query: those may hold a token. */
function withoutSecrets(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
  } catch {
    return url.replace(/[?#].*/s, '').replace(/\/\/[^/]*@/, '//');
  }
}
