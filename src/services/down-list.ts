import type { Clock } from './types.ts';

/** How long changes are gathered, ms. */
const gatherMs = 10;
/** What nobody probes any more stays down for so long, ms: until nobody has it. */
const forgetMs = 1_000;

export interface DownListOptions {
  readonly clock: Clock;
  /** Whether it is down now, by its key. */
  readonly isDown: (key: string) => boolean;
  /** Takes changes to the workers. */
  readonly publish: (changes: DownChanges) => void;
}

export interface DownChanges {
  readonly down: readonly string[];
  readonly up: readonly string[];
}

/** Which instances workers hold for down. They are told of each change once, and only of changes. */
export class DownList {
  readonly #options: DownListOptions;
  readonly #down = new Set<string>();
  #touched = new Set<string>();
  #forgotten = new Set<string>();
  #cancel: (() => void) | undefined;
  #cancelForget: (() => void) | undefined;

  constructor(options: DownListOptions) {
    this.#options = options;
  }

  /** To be told whenever an instance may be in another state. */
  touch(key: string): void {
    this.#touched.add(key);
    this.#cancel ??= this.#options.clock.after(gatherMs, () => this.flush());
  }

  /** To be told of one that is no longer probed. */
  forget(key: string): void {
    if (!this.#down.has(key)) return;
    this.#forgotten.add(key);
    this.#cancelForget ??= this.#options.clock.after(forgetMs, () => {
      this.#cancelForget = undefined;
      for (const one of this.#forgotten) this.touch(one);
      this.#forgotten = new Set();
    });
  }

  /** What workers are to be told, as told: to be sent along with something else. */
  take(): DownChanges {
    this.#cancel?.();
    this.#cancel = undefined;
    const down: string[] = [];
    const up: string[] = [];
    for (const key of this.#touched) {
      const isDown = this.#options.isDown(key);
      if (isDown === this.#down.has(key)) continue;
      if (isDown) this.#down.add(key);
      else this.#down.delete(key);
      (isDown ? down : up).push(key);
    }
    this.#touched = new Set();
    return { down, up };
  }

  /** Tells the workers now. */
  flush(): void {
    const changes = this.take();
    if (changes.down.length + changes.up.length > 0) this.#options.publish(changes);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancelForget?.();
  }
}
