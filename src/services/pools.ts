import type { Clock, InstanceView, PoolChanges, PoolMember, ServicePool } from './types.ts';

/** How long changes of pools are gathered, ms. */
const gatherMs = 10;
const retryMs = 1_000;
/** For how long a slug is known after its last instance has left, ms: a service that is being restarted is no unknown one. */
const rememberMs = 600_000;

export interface PoolsOptions {
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** The instances of a slug. */
  readonly members: (slug: string) => readonly InstanceView[];
  /** Whether a person has defined it: it is known without instances, too. */
  readonly isDefined: (slug: string) => boolean;
  /** Takes changes to the workers; resolves when all have them. */
  readonly publish: (changes: PoolChanges) => Promise<void>;
}

/** Which slugs are known, and who is told of their pools. One message is under way at a time: what changes meanwhile goes in the next. */
export class Pools {
  readonly #options: PoolsOptions;
  readonly #watchers = new Set<(changes: PoolChanges) => void>();
  /** Known slugs, with when they lost their last instance; 0: they have some, or are defined. */
  readonly #known = new Map<string, number>();
  /** Slugs that watchers have not been told of, and those that workers have not. */
  #unseen = new Set<string>();
  #unsent = new Set<string>();
  #waiting = false;
  #flight: Promise<void> | undefined;
  #stopped = false;

  constructor(options: PoolsOptions) {
    this.#options = options;
  }

  /** To be told after every change that a pool shows. */
  touch(slug: string): void {
    const { clock, members, isDefined } = this.#options;
    const lives = isDefined(slug) || members(slug).length > 0;
    if (lives) this.#known.set(slug, 0);
    else if (this.#known.get(slug) === 0) this.#known.set(slug, clock.now());
    this.#unseen.add(slug);
    this.#unsent.add(slug);
    this.#wake(gatherMs);
  }

  /** Forgets slugs that have had no instance for long. */
  sweep(): void {
    const now = this.#options.clock.now();
    for (const [slug, leftAt] of this.#known) {
      if (leftAt === 0 || now - leftAt < rememberMs) continue;
      this.#known.delete(slug);
      this.touch(slug);
    }
  }

  get(slug: string): ServicePool | undefined {
    if (!this.#known.has(slug)) return undefined;
    const members = this.#options
      .members(slug)
      .map(memberOf)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    return { slug, members };
  }

  all(): ServicePool[] {
    return [...this.#known.keys()].map((slug) => this.get(slug)!);
  }

  /** @returns ends it */
  watch(listener: (changes: PoolChanges) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Resolves when workers have all that has changed so far, or it has failed once. */
  async settled(): Promise<void> {
    await this.#flight;
    await this.#send();
  }

  /** Resolves when no message is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#flight;
  }

  #wake(ms: number): void {
    if (this.#waiting || this.#stopped) return;
    this.#waiting = true;
    this.#options.clock.after(ms, () => {
      this.#waiting = false;
      void this.#send();
    });
  }

  #send(): Promise<void> {
    this.#tell();
    // What has nothing left to send may wait for what somebody else is sending.
    if (this.#unsent.size === 0 || this.#stopped) return this.#flight ?? Promise.resolve();
    this.#flight ??= this.#sendOnce().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #sendOnce(): Promise<void> {
    const slugs = this.#unsent;
    this.#unsent = new Set();
    try {
      await this.#options.publish(this.#changes(slugs));
      if (this.#unsent.size > 0) this.#wake(0);
    } catch (error) {
      this.#options.log(`registry: workers were not told of ${slugs.size} services: ${(error as Error).message}`);
      for (const slug of slugs) this.#unsent.add(slug);
      this.#wake(retryMs);
    }
  }

  #tell(): void {
    if (this.#unseen.size === 0) return;
    const changes = this.#changes(this.#unseen);
    this.#unseen = new Set();
    for (const listener of this.#watchers) listener(changes);
  }

  #changes(slugs: Iterable<string>): PoolChanges {
    const pools: ServicePool[] = [];
    const gone: string[] = [];
    for (const slug of slugs) {
      const pool = this.get(slug);
      if (pool === undefined) gone.push(slug);
      else pools.push(pool);
    }
    return { pools, gone };
  }
}

function memberOf(instance: InstanceView): PoolMember {
  const { id, url, weight, priority, status, details, statusSince, createdAt } = instance;
  return { id, url, weight, priority, status, details, statusSince, createdAt };
}
