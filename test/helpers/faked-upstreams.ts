import {
  createProxy,
  type HealthChange,
  type ProxyExchange,
  type ProxyOptions,
  type ProxyRoute,
} from '../../src/index.ts';

/** What an upstream answers: a status, or `refused`, `reset`. */
export type Mood = number | 'refused' | 'reset';

/**
 * A proxy whose upstreams are the names in `moods`, which may be changed; its clock stands still until `at` is.
 * @param route of `app.test`; its target is all names, if it says none
 */
export function moody(
  moods: Record<string, Mood>,
  route: Partial<ProxyRoute> = {},
  options: Partial<ProxyOptions> = {},
) {
  const clock = { at: 1_000_000 };
  const asked: string[] = [];
  const health: HealthChange[] = [];
  const exchanges: ProxyExchange[] = [];
  const fetch = async (url: string) => {
    const { host } = new URL(url);
    asked.push(host);
    const mood = moods[host];
    if (typeof mood === 'number') return new Response(host, { status: mood });
    const code = mood === 'refused' ? 'ECONNREFUSED' : 'ECONNRESET';
    throw new TypeError('fetch failed', { cause: Object.assign(new Error(mood), { code }) });
  };
  const target = Object.keys(moods).map((host) => `http://${host}`);
  const whole: ProxyRoute = { id: 'app.test', target, ...route };
  const proxy = createProxy({
    routes: [whole],
    fetch: fetch as unknown as typeof globalThis.fetch,
    now: () => clock.at,
    hooks: { onHealth: (change) => void health.push(change), onResponse: (one) => void exchanges.push(one) },
    ...options,
  });
  const ask = (path = '/', init?: RequestInit) => proxy.fetch(new Request(`http://app.test${path}`, init));
  /** Asks so often, one after the other. @returns how often each upstream was asked for it */
  const times = async (count: number) => {
    asked.length = 0;
    for (let i = 0; i < count; i++) await ask();
    return Object.fromEntries(Object.keys(moods).map((name) => [name, asked.filter((one) => one === name).length]));
  };
  return { proxy, whole, clock, asked, health, exchanges, ask, times };
}
