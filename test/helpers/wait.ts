import { setTimeout as sleep } from 'node:timers/promises';

const defaultMs = 5_000;

/** The promise's value, or an error that names `what` if it has not settled within `ms`. */
export async function within<T>(promise: Promise<T>, what: string, ms = defaultMs): Promise<T> {
  const stop = new AbortController();
  const late = sleep(ms, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`${what}: not within ${ms} ms`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}

/** Waits until `holds` says true; fails with `what` after `ms`. */
export async function until(holds: () => boolean, what: string, ms = defaultMs): Promise<void> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(5);
  }
}

export { sleep };
