/** How many requests the API takes from one address in a minute, where no setting says otherwise. */
export const defaultRequestsPerMinute = 6_000;
const windowMs = 60_000;
/** Addresses that are counted at one time; the one that was silent for longest is forgotten for a new one. */
const mostAddresses = 10_000;

export interface RequestLimit {
  /** Counts a request. @returns how many whole seconds are to be waited; 0: it may pass */
  take(address: string): number;
}

/**
 * Requests by address, in windows of a minute that begin with the first one.
 * @param perMinute asked for each request
 * @param now ms of a clock that is not turned back
 */
export function createRequestLimit(
  perMinute: () => number = () => defaultRequestsPerMinute,
  now: () => number = () => performance.now(),
): RequestLimit {
  const windows = new Map<string, { readonly since: number; count: number }>();
  return {
    take(address) {
      const key = networkOf(address);
      const at = now();
      const known = windows.get(key);
      const window = known !== undefined && at - known.since < windowMs ? known : { since: at, count: 0 };
      windows.delete(key);
      windows.set(key, window);
      if (windows.size > mostAddresses) windows.delete(windows.keys().next().value as string);
      window.count += 1;
      return window.count <= perMinute() ? 0 : Math.max(1, Math.ceil((window.since + windowMs - at) / 1_000));
    },
  };
}

/** Of IPv6 the first half: who has one address there has 2^64 of them. */
function networkOf(address: string): string {
  if (!address.includes(':') || /^::ffff:[\d.]+$/i.test(address)) return address;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return [...before, ...gap, ...after].slice(0, 4).join(':');
}
