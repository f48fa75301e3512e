import type { KnownPassword } from '../core/option-basic-auth.ts';
import { parseScryptHash, type ScryptHash } from '../core/scrypt-hash.ts';
import type { VerifyPassword } from './types.ts';

/** What came of asking; `busy` is also what can't be found out, with its cause. */
export type Verdict = 'right' | 'wrong' | { readonly busy: unknown };

const rememberMs = 60_000;
const maxRemembered = 10_000;
/** As at the edge: each takes some 30 MiB, and a core for a tenth of a second or more. */
const maxAtOnce = 2;
const maxWaiting = 64;
const maxOfOne = 8;
const text = new TextEncoder();

interface NodeCrypto {
  scrypt(
    password: string,
    salt: Uint8Array,
    length: number,
    options: { N: number; r: number; p: number; maxmem: number },
    done: (error: Error | null | undefined, made: Uint8Array) => void,
  ): void;
}

/** By the scrypt of Node, which Deno, Bun, and Workers with nodejs_compat have as well; undefined where there is none. */
export function runtimeVerify(): VerifyPassword | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } };
  const crypto = process?.getBuiltinModule?.('node:crypto') as NodeCrypto | undefined;
  if (typeof crypto?.scrypt !== 'function') return undefined;
  return (password, hash) => {
    const known = parseScryptHash(hash);
    return typeof known === 'string' ? Promise.resolve(false) : matches(crypto, known, password);
  };
}

function matches(crypto: NodeCrypto, { n, r, p, salt, hash }: ScryptHash, password: string): Promise<boolean> {
  const maxmem = 128 * n * r + 128 * r * p + 1_048_576;
  return new Promise((resolve, reject) => {
    crypto.scrypt(password, salt, hash.length, { N: n, r, p, maxmem }, (error, made) => {
      // Of no error Bun says undefined.
      if (error) return reject(error);
      // All of it, whatever the first bytes say.
      let differs = 0;
      for (let i = 0; i < hash.length; i++) differs |= made[i] ^ hash[i];
      resolve(differs === 0);
    });
  });
}

/** One password that is being found out about; all who bring the same wait for the same answer. */
interface Flight {
  readonly known: KnownPassword;
  readonly password: string;
  readonly client: string;
  readonly asking: Set<AbortSignal>;
  readonly said: Promise<Verdict>;
  readonly say: (verdict: Verdict) => void;
}

/** Compares passwords, a few at a time; remembers for a minute those that were right, under a keyed digest of password and hash. */
export class ProxyPasswords {
  private readonly verify: VerifyPassword;
  private readonly now: () => number;
  private secret: Promise<CryptoKey> | undefined;
  /** When each ends, in the order in which they came last. */
  private readonly remembered = new Map<string, number>();
  private readonly flights = new Map<string, Flight>();
  private readonly queue: string[] = [];
  private running = 0;

  /** @param now epoch ms */
  constructor(verify: VerifyPassword, now: () => number) {
    this.verify = verify;
    this.now = now;
  }

  /** Comparisons that run or wait. */
  get pending(): number {
    return this.flights.size;
  }

  /** @param client whose request it is: its address @param signal of the request: what all have left is not compared */
  async check(known: KnownPassword, password: string, client: string, signal: AbortSignal): Promise<Verdict> {
    const key = await this.keyOf(known, password);
    if (this.remembers(key)) return 'right';
    let flight = this.flights.get(key);
    if (flight === undefined) {
      if (this.queue.length >= maxWaiting || this.countOf(client) >= maxOfOne)
        return { busy: new Error('too many passwords wait to be compared') };
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      flight = { known, password, client, asking: new Set(), said: promise, say: resolve };
      this.flights.set(key, flight);
      this.queue.push(key);
    }
    flight.asking.add(signal);
    this.next();
    return flight.said;
  }

  private async keyOf(known: KnownPassword, password: string): Promise<string> {
    const algorithm: HmacKeyGenParams = { name: 'HMAC', hash: 'SHA-256' };
    // Made late: Workers have no chance before their first request.
    this.secret ??= crypto.subtle.generateKey(algorithm, false, ['sign']);
    const data = text.encode(`${known.text}\0${password}`);
    const digest = await crypto.subtle.sign('HMAC', await this.secret, data);
    return String.fromCharCode(...new Uint8Array(digest));
  }

  private remembers(key: string): boolean {
    const until = this.remembered.get(key);
    if (until === undefined) return false;
    this.remembered.delete(key);
    if (until < this.now()) return false;
    this.remember(key);
    return true;
  }

  private remember(key: string): void {
    this.remembered.set(key, this.now() + rememberMs);
    if (this.remembered.size > maxRemembered) this.remembered.delete(this.remembered.keys().next().value as string);
  }

  private countOf(client: string): number {
    let count = 0;
    for (const flight of this.flights.values()) if (flight.client === client) count++;
    return count;
  }

  private next(): void {
    while (this.running < maxAtOnce) {
      const key = this.queue.shift();
      if (key === undefined) return;
      const flight = this.flights.get(key) as Flight;
      if ([...flight.asking].every((signal) => signal.aborted)) {
        this.flights.delete(key);
        flight.say({ busy: new Error('who asked has left') });
      } else void this.run(key, flight);
    }
  }

  private async run(key: string, { known, password, say }: Flight): Promise<void> {
    this.running++;
    // What nobody's password is compared with has no text: it is never right, and takes as long.
    const isNobody = known.text === '';
    let verdict: Verdict;
    try {
      const isRight = (await this.verify(password, isNobody ? hashText(known.hash) : known.text)) === true;
      verdict = isRight && !isNobody ? 'right' : 'wrong';
    } catch (error) {
      verdict = { busy: error };
    }
    this.running--;
    this.flights.delete(key);
    if (verdict === 'right') this.remember(key);
    this.next();
    say(verdict);
  }
}

function hashText({ n, r, p, salt, hash }: ScryptHash): string {
  const plain = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes)).replace(/=+$/, '');
  return `$scrypt$ln=${Math.log2(n)},r=${r},p=${p}$${plain(salt)}$${plain(hash)}`;
}
