import { asc, eq, sql } from 'drizzle-orm';
import type { Scope } from '../src/admin/access.ts';
import type { FoundToken, Token, TokenStore } from '../src/admin/tokens.ts';
import { type Connection, database } from './connection.ts';
import { writePlain } from './plain.ts';
import { again } from './retry.ts';
import { meta, tokens } from './schema.ts';
import { watch } from './watch.ts';

/** The tokens in a database, and what a server needs that keeps them in memory. Every method throws StoreError. */
export interface DatabaseTokens extends TokenStore {
  /** All with their hashes, at one moment. @property version grows with each token that comes or goes */
  all(): Promise<{ readonly version: number; readonly tokens: readonly (Token & { readonly hash: string })[] }>;
  /** Only where other servers may write too: calls back when the stored version is another than `known()`. @returns ends it */
  watch?(
    known: () => number,
    onVersion: (version: number) => Promise<void>,
    onError: (error: Error) => void,
  ): () => void;
}

/** The tokens over a migrated database. */
export function createTokenStore(connection: Connection): DatabaseTokens {
  const reads = database(connection, 'read');
  const stored = reads.select({ version: meta.tokenVersion }).from(meta);
  const sorted = reads.select().from(tokens).orderBy(asc(tokens.createdAt), asc(tokens.id));

  async function all() {
    const [[{ version }], rows] = await again(connection, () => reads.batch([stored, sorted]));
    return { version, tokens: rows.map((row) => ({ ...tokenOf(row), hash: row.hash })) };
  }

  async function find(hash: string): Promise<FoundToken | undefined> {
    const [row] = await again(connection, () => reads.select().from(tokens).where(eq(tokens.hash, hash)));
    return row && { token: tokenOf(row), hash: row.hash };
  }

  async function add(token: Token, hash: string): Promise<void> {
    await writePlain(connection, (writes) => [
      // The same token again: an answer was lost. Another one under its id fails (NOT NULL).
      writes
        .insert(tokens)
        .values({ ...rowOf(token), hash })
        .onConflictDoUpdate({
          target: tokens.id,
          set: { hash: sql`CASE WHEN ${tokens.hash} = excluded.hash THEN excluded.hash END` },
        }),
      writes.update(meta).set({ tokenVersion: sql`${meta.tokenVersion} + 1` }),
    ]);
  }

  async function remove(id: string): Promise<boolean> {
    const is = eq(tokens.id, id);
    // Looked up first: an answer that was lost would make the second attempt find nothing.
    const before = await again(connection, () => reads.select({ id: tokens.id }).from(tokens).where(is));
    if (before.length === 0) return false;
    await writePlain(connection, (writes) => [
      writes.delete(tokens).where(is),
      writes.update(meta).set({ tokenVersion: sql`${meta.tokenVersion} + 1` }),
    ]);
    return true;
  }

  return {
    all,
    list: async () => (await again(connection, () => sorted)).map(tokenOf),
    find,
    add,
    remove,
    watch: connection.shared
      ? (known, onVersion, onError) =>
          watch(connection, { number: ({ tokenVersion }) => tokenVersion, known, onChange: onVersion, onError })
      : undefined,
  };
}

/** Without the hash. A scope that is none of ours, by a later oo or a hand, lets its holder do nothing: whoever asks compares it. */
function tokenOf({ id, scopes, slug, note, createdAt, expiresAt }: typeof tokens.$inferSelect): Token {
  const list = scopes.split(' ').filter((scope) => scope !== '') as Scope[];
  return { id, scopes: list, slug, note, createdAt, expiresAt };
}

function rowOf({ id, scopes, slug, note, createdAt, expiresAt }: Token): Omit<typeof tokens.$inferInsert, 'hash'> {
  return { id, role: roleOf(scopes, slug), scopes: scopes.join(' '), slug, note, createdAt, expiresAt };
}

/** Never more than the scopes allow, for servers that know nothing of them. */
function roleOf(scopes: readonly Scope[], slug: string): string {
  if (scopes.includes('admin')) return 'admin';
  return scopes.includes('instance:write') && slug !== '' ? 'service' : 'scoped';
}
