import type { Clock } from './types.ts';

/** Lines in this time, ms, one by one; the rest of them are counted. */
const windowMs = 1_000;
const most = 20;

/** Keeps a log readable where thousands of things happen at once, such as a network that goes down. */
export class LineLimit {
  readonly #clock: Clock;
  readonly #log: (line: string) => void;
  #lines = 0;
  #more = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, log: (line: string) => void) {
    this.#clock = clock;
    this.#log = log;
  }

  say(line: string): void {
    this.#cancel ??= this.#clock.after(windowMs, () => this.#next());
    if (this.#lines < most) this.#log(line);
    else this.#more += 1;
    this.#lines += 1;
  }

  stop(): void {
    this.#cancel?.();
  }

  #next(): void {
    this.#cancel = undefined;
    if (this.#more > 0) this.#log(`health: and ${this.#more} others`);
    this.#lines = 0;
    this.#more = 0;
  }
}
