import { drizzle, type SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy';

export type SqlValue = string | number | null;

export interface Statement {
  readonly sql: string;
  readonly args: readonly SqlValue[];
}

/** Rows as arrays, in the order of the statement's columns. */
export type Rows = unknown[][];

/**
 * The one seam below drizzle: a libSQL database, in a file or behind a URL.
 * Errors are StoreErrors. After any error the next call gets a new connection.
 */
export interface Connection {
  /** How messages name it: the path, or the URL without its token. */
  readonly where: string;
  /** True where other servers may write to the same database. */
  readonly shared: boolean;
  /** Runs the statements, in order, in one transaction: all of them are stored, or none. */
  run(statements: readonly Statement[], mode: 'read' | 'write'): Promise<Rows[]>;
  /**
   * Only of a file: reads beside `run`, all of one moment, row by row. Its rows are to be read to their end, or closed; it holds the
   * write-ahead log as long as it is open.
   */
  snapshot?(): Snapshot;
  close(): void;
}

export interface Snapshot {
  rows(sql: string): Iterable<unknown[]>;
  close(): void;
}

/** Drizzle over a connection; a `batch` is one transaction of the given mode. */
export function database(connection: Connection, mode: 'read' | 'write'): SqliteRemoteDatabase {
  return drizzle(
    async (sql, params, method) => {
      const [rows] = await connection.run([{ sql, args: params }], mode);
      return { rows: method === 'get' ? (rows[0] as unknown[]) : rows };
    },
    async (queries) => {
      const results = await connection.run(
        queries.map(({ sql, params }) => ({ sql, args: params as SqlValue[] })),
        mode,
      );
      return results.map((rows, i) => ({ rows: queries[i].method === 'get' ? (rows[0] as unknown[]) : rows }));
    },
  );
}
