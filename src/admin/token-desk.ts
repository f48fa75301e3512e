import {
  type CreatedToken,
  createToken,
  hashOf,
  isExpired,
  isSameHash,
  isTokenForm,
  type Token,
  type TokenRequest,
  type TokenStore,
} from './tokens.ts';

/** For so long a token is believed without asking the store again, ms: what another server removes works no longer than that. */
const freshMs = 5_000;
/** Wrong tokens that one source may try at once, and how many more each second. */
const tries = { burst: 20, perSecond: 1 };
const most = { known: 10_000, unknown: 1_000, sources: 4_096 };

/** Why a request is not let in. `expired` and `unknown` are 401, `often` is 429. */
export interface Stranger {
  readonly why: 'none' | 'unknown' | 'expired' | 'often';
}

export interface TokenDesk {
  list(): Promise<readonly Token[]>;
  create(request: TokenRequest): Promise<CreatedToken>;
  /** It works no more when this has resolved. @returns whether it was there */
  remove(id: string): Promise<boolean>;
  /** Asks the store for each token anew: all were replaced. */
  forget(): void;
  /** @param onRemoval told when one was removed here, or all were replaced @returns ends it */
  watch(onRemoval: () => void): () => void;
  /**
   * Whose token this is. While the store fails, tokens that it has known are good; others are a failure of the store.
   * @param text what came after `Bearer`; undefined: nothing
   * @param source where the request is from: who tries many wrong tokens is made to wait
   */
  identify(text: string | undefined, source: string): Promise<Token | Stranger>;
}

interface Remembered {
  readonly token: Token;
  readonly at: number;
}

/**
 * Tokens as the API works with them: made, removed and recognised.
 * A token is looked up by its hash, and its stored hash compared in constant time: no comparison's time tells anything of it.
 * @param now epoch ms; default: the system's
 */
export function createTokenDesk(store: TokenStore, now: () => number = Date.now): TokenDesk {
  const known = new Map<string, Remembered>();
  /** Hashes that the store does not know, with when it was asked. The same wrong token again is no guess. */
  const unknown = new Map<string, number>();
  const sources = new Map<string, { left: number; at: number }>();
  /** What was looked up before one is not remembered after it. */
  let removals = 0;
  const watchers = new Set<() => void>();

  async function identify(text: string | undefined, source: string): Promise<Token | Stranger> {
    if (text === undefined || text === '') return { why: 'none' };
    if (!isTokenForm(text)) return failed(source);
    const hash = await hashOf(text);
    const at = now();
    const remembered = known.get(hash);
    if (remembered !== undefined && Math.abs(at - remembered.at) < freshMs) return valid(remembered.token, at);
    if (Math.abs(at - (unknown.get(hash) ?? Number.NEGATIVE_INFINITY)) < freshMs) return { why: 'unknown' };
    if (remembered === undefined && leftOf(source) < 1) return { why: 'often' };
    const before = removals;
    const token = await find(hash, remembered);
    if (token !== undefined) {
      if (removals === before) remember(known, hash, { token, at }, most.known);
      return valid(token, at);
    }
    known.delete(hash);
    remember(unknown, hash, at, most.unknown);
    return failed(source);
  }

  async function find(hash: string, remembered: Remembered | undefined): Promise<Token | undefined> {
    try {
      const found = await store.find(hash);
      return found !== undefined && isSameHash(found.hash, hash) ? found.token : undefined;
    } catch (error) {
      // Services go on with their heartbeats while the database is away.
      if (remembered !== undefined) return remembered.token;
      throw error;
    }
  }

  /** How many wrong tokens this source may still try. */
  function leftOf(source: string): number {
    const { left, at } = sources.get(source) ?? { left: tries.burst, at: 0 };
    return Math.min(tries.burst, left + (Math.max(0, now() - at) / 1_000) * tries.perSecond);
  }

  function failed(source: string): Stranger {
    const left = leftOf(source);
    remember(sources, source, { left: Math.max(0, left - 1), at: now() }, most.sources);
    return { why: left < 1 ? 'often' : 'unknown' };
  }

  return {
    list: () => store.list(),
    create: (request) => createToken(store, request, now()),
    async remove(id) {
      const was = await store.remove(id);
      removals += 1;
      for (const [hash, { token }] of known) if (token.id === id) known.delete(hash);
      for (const onRemoval of [...watchers]) onRemoval();
      return was;
    },
    forget() {
      removals += 1;
      known.clear();
      unknown.clear();
      for (const onRemoval of [...watchers]) onRemoval();
    },
    watch(onRemoval) {
      // Each in a function of its own: two may bring the same one.
      const watcher = () => onRemoval();
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    identify,
  };
}

function valid(token: Token, now: number): Token | Stranger {
  return isExpired(token, now) ? { why: 'expired' } : token;
}

/** Puts it last; the first goes where there are too many. */
function remember<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value as string);
}
