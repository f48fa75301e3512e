import type { Token, TokenStore } from '../../src/admin/tokens.ts';

export interface MemoryTokenStore extends TokenStore {
  readonly rows: Map<string, { token: Token; hash: string }>;
  /** Hashes that it was asked for. */
  readonly asked: string[];
  /** Why it does nothing now; '' while it works. */
  down: string;
}

/** Tokens in memory. */
export function memoryTokenStore(): MemoryTokenStore {
  const rows: MemoryTokenStore['rows'] = new Map();
  const fail = () => {
    const failure = { code: 'OO_STORE_UNREACHABLE', hint: 'Look after the database.' };
    if (store.down !== '') throw Object.assign(new Error(store.down), failure);
  };
  const store: MemoryTokenStore = {
    rows,
    asked: [],
    down: '',
    async list() {
      fail();
      return [...rows.values()].map(({ token }) => token);
    },
    async find(hash) {
      store.asked.push(hash);
      fail();
      return [...rows.values()].find((row) => row.hash === hash);
    },
    async add(token, hash) {
      fail();
      rows.set(token.id, { token, hash });
    },
    async remove(id) {
      fail();
      return rows.delete(id);
    },
  };
  return store;
}
