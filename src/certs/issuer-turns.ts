import { unlessAborted } from './issuer-account.ts';

/**
 * One at a time for each name: there is one place for a name's TLS-ALPN-01 answer, and certificates of both key types may be
 * ordered for it at once.
 */
export class Turns {
  #last = new Map<string, Promise<void>>();

  /** Waits for the turn of all of them. @returns what ends it. Rejects with the signal's reason */
  async take(names: readonly string[], signal: AbortSignal): Promise<() => void> {
    const held: (() => void)[] = [];
    const end = () => {
      for (const release of held) release();
    };
    try {
      // In the same order everywhere, so that two can't wait for each other.
      for (const name of [...new Set(names)].sort()) held.push(await this.#takeOne(name, signal));
    } catch (error) {
      end();
      throw error;
    }
    return end;
  }

  async #takeOne(name: string, signal: AbortSignal): Promise<() => void> {
    const before = this.#last.get(name) ?? Promise.resolve();
    let release = () => {};
    const done = new Promise<void>((resolve) => {
      release = resolve;
    });
    // Whoever gives up waiting passes the turn on only when it would have come.
    const after = before.then(() => done);
    this.#last.set(name, after);
    void after.then(() => {
      if (this.#last.get(name) === after) this.#last.delete(name);
    });
    try {
      await unlessAborted(before, signal);
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }
}
