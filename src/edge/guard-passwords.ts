import { hash as digest, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { ownerOf } from '../core/cidr.ts';
import type { KnownPassword } from '../core/option-basic-auth.ts';
import type { ScryptHash } from '../core/scrypt-hash.ts';
import { nowMs } from './clock.ts';

/** What came of asking. */
export type Verdict = 'right' | 'wrong' | 'busy';

/** A page comes with its pictures, and its user reads it for a while. */
const rememberMs = 60_000;
const maxRemembered = 10_000;
/** Each takes some 30 MiB and a tenth of a second of one of the pool's four threads, which names and files are looked up in as well. */
const maxAtOnce = 2;
const maxWaiting = 64;
/** One client with a list of passwords leaves room for the others. */
const maxOfOne = 8;

/** One password that is being found out about; all who bring the same wait for the same answer. */
interface Flight {
  readonly key: string;
  readonly known: KnownPassword;
  readonly password: string;
  /** Whose client's address it is. */
  readonly owner: string;
  readonly asking: Set<(verdict: Verdict) => void>;
}

/**
 * Compares passwords with their hashes, in the thread pool, a few at a time. Those that were right are remembered for a minute after they
 * came last, so that a page with fifty pictures costs one comparison; under a keyed digest of password and hash, so that nothing remembered is
 * of use to anybody, and another password counts at once.
 */
export class Passwords {
  private readonly secret = randomBytes(32).toString('base64');
  /** When each ends, in the order in which they came last. */
  private readonly remembered = new Map<string, number>();
  private readonly flights = new Map<string, Flight>();
  private readonly queue: Flight[] = [];
  private running = 0;

  /** Comparisons that run or wait. */
  get pending(): number {
    return this.flights.size;
  }

  /**
   * @param client whose request it is: its address
   * @param done is called later, unless it is known at once
   * @returns `right`, if that is known; else what takes `done` back
   */
  check(
    known: KnownPassword,
    password: string,
    client: string,
    done: (verdict: Verdict) => void,
  ): Verdict | (() => void) {
    const key = this.keyOf(known, password);
    if (this.remembers(key)) return 'right';
    let flight = this.flights.get(key);
    if (flight === undefined) {
      // Whoever has one IPv6 address has as many as he likes.
      const owner = ownerOf(client);
      if (this.queue.length >= maxWaiting || this.countOf(owner) >= maxOfOne) return 'busy';
      flight = { key, known, password, owner, asking: new Set() };
      this.flights.set(key, flight);
      this.queue.push(flight);
    }
    const { asking } = flight;
    asking.add(done);
    this.next();
    return () => void asking.delete(done);
  }

  private keyOf(known: KnownPassword, password: string): string {
    // Nobody ever sees a digest that he could lengthen: a secret in front is as good as an HMAC, which takes forty times as long (14 µs).
    return digest('sha256', `${this.secret}\0${known.text}\0${password}`, 'base64');
  }

  private remembers(key: string): boolean {
    const until = this.remembered.get(key);
    if (until === undefined) return false;
    this.remembered.delete(key);
    if (until < nowMs()) return false;
    this.remember(key);
    return true;
  }

  private remember(key: string): void {
    this.remembered.set(key, nowMs() + rememberMs);
    if (this.remembered.size > maxRemembered) this.remembered.delete(this.remembered.keys().next().value as string);
  }

  private countOf(owner: string): number {
    let count = 0;
    for (const flight of this.flights.values()) if (flight.owner === owner) count++;
    return count;
  }

  private next(): void {
    while (this.running < maxAtOnce) {
      const flight = this.queue.shift();
      if (flight === undefined) return;
      // All who asked have left.
      if (flight.asking.size === 0) this.flights.delete(flight.key);
      else this.run(flight);
    }
  }

  private run(flight: Flight): void {
    this.running++;
    matches(flight.known.hash, flight.password)
      .catch(() => undefined)
      .then((isRight) => {
        this.running--;
        this.flights.delete(flight.key);
        // What nobody's password is compared with has no text.
        const right = isRight === true && flight.known.text !== '';
        if (right) this.remember(flight.key);
        this.next();
        for (const done of flight.asking) done(right ? 'right' : isRight === undefined ? 'busy' : 'wrong');
      });
  }
}

/** Takes as long for what is wrong as for what is right. Rejects where there is no memory for it. */
function matches({ n, r, p, salt, hash }: ScryptHash, password: string): Promise<boolean> {
  const maxmem = 128 * n * r + 128 * r * p + 1_048_576;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hash.length, { N: n, r, p, maxmem }, (error, made) => {
      if (error === null) resolve(timingSafeEqual(made, hash));
      else reject(error);
    });
  });
}
