import { setTimeout as sleep } from 'node:timers/promises';

const defaultMs = 5_000;
const pollMs = 5;
/** The most that one poll counts: on a machine that is busy with other things it may take seconds, and says nothing then. */
const mostPerPollMs = 50;

/** Waits until `holds` says true; fails with `what` after `ms` in which this process could run. */
export async function until(holds: () => boolean, what: string, ms = defaultMs): Promise<void> {
  let left = ms;
  while (!holds()) {
    if (left <= 0) throw new Error(`${what}: not within ${ms} ms`);
    const started = performance.now();
    await sleep(pollMs);
    left -= Math.min(performance.now() - started, mostPerPollMs);
  }
}

/** The promise's value, or an error that names `what` if it has not settled within `ms`, counted as by `until`. */
export async function within<T>(promise: Promise<T>, what: string, ms = defaultMs): Promise<T> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  // Not after the poll that sees it: the caller may have to listen for what comes in the same turn.
  return Promise.race([promise, until(() => settled, what, ms).then(() => promise)]);
}

export { sleep };
