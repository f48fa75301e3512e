/** The most that counts between two looks, ms. */
const mostMs = 3_000;

/**
 * Time in which heartbeats could be heard. It stands still while this process was stopped, the machine slept or the clock was put right, and
 * where servers share a database while that can't be read: silence then says nothing of the instances.
 */
export class Listening {
  #lastAt: number;
  #heardMs = 0;

  /** @param now epoch ms */
  constructor(now: number) {
    this.#lastAt = now;
  }

  /** To be called often. @param deaf nothing could be heard since the last call @returns ms that count, ever growing */
  at(now: number, deaf = false): number {
    const passed = now - this.#lastAt;
    this.#lastAt = now;
    // What was too long counts for nothing: who knows when in it the process began to listen again.
    if (!deaf && passed > 0 && passed <= mostMs) this.#heardMs += passed;
    return this.#heardMs;
  }

  /** As of the last call of `at`. */
  get now(): number {
    return this.#heardMs;
  }
}
