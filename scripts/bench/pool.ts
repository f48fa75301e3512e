import http from 'node:http';
import { type Load, load } from './load.ts';
import type { MoreRoute } from './oo.ts';
import type { Contender } from './proxy.ts';
import { INSTANCES, type Upstream } from './upstream.ts';

/** What a contender over one target is called, in both comparisons. */
export const ONE_TARGET = 'one target';
/** The default policy, over ten. */
export const DEFAULT_POOL = `${INSTANCES} instances, power-of-two`;

const CLIENTS = 100;
const oneTarget = 'one.pool.example.com';
const hosts: Readonly<Record<string, string>> = {
  [ONE_TARGET]: oneTarget,
  [DEFAULT_POOL]: 'power-of-two.pool.example.com',
  [`${INSTANCES} instances, round-robin`]: 'round-robin.pool.example.com',
  [`${INSTANCES} instances, least-requests`]: 'least-requests.pool.example.com',
  [`${INSTANCES} instances, random`]: 'random.pool.example.com',
  [`${INSTANCES} instances, hash by a cookie`]: 'hash.pool.example.com',
  [`${INSTANCES} instances, sticky`]: 'sticky.pool.example.com',
};
const byCookie = [hosts[`${INSTANCES} instances, hash by a cookie`], hosts[`${INSTANCES} instances, sticky`]];

/** A route over one target and one for each policy over ten, all of the same upstream. */
export function poolRoutes({ ports }: Upstream): MoreRoute[] {
  const targets = ports.map((port) => `http://127.0.0.1:${port}`);
  return Object.values(hosts).map((id) => {
    const policy = id.split('.')[0];
    if (id === oneTarget) return { id, target: targets[0], http: 'allow' };
    if (policy === 'sticky') return { id, target: targets, balance: { sticky: true }, http: 'allow' };
    const balance = policy === 'hash' ? { policy, by: 'cookie:user' } : { policy };
    return { id, target: targets, balance, http: 'allow' };
  });
}

/** Contenders of one comparison, and what each is loaded with: they are one server, asked for different hosts. */
export interface Pools {
  readonly what: Load;
  readonly contenders: readonly Contender[];
  readonly load: (contender: Contender) => Load;
}

/**
 * The comparisons: policies that look at no request, and those that look at cookies, where all requests bring some.
 * @throws where a pool's requests do not reach all of its instances
 */
export async function poolsOf(proxy: Contender, upstream: Upstream): Promise<Pools[]> {
  const cookies = await cookiesOf(proxy);
  for (const host of Object.values(hosts)) await checkSpread(proxy, host, cookies, upstream);
  const pools = (what: Load, of: (host: string) => boolean): Pools => ({
    what,
    contenders: Object.keys(hosts)
      .filter((name) => of(hosts[name]))
      .map((name) => ({ ...proxy, name })),
    load: ({ name }) => ({ ...what, host: hosts[name], instances: name === ONE_TARGET ? 1 : INSTANCES }),
  });
  const title = 'Small GET, by instances and policy';
  return [
    pools(load('pool', title, {}), (host) => !byCookie.includes(host)),
    pools(
      load('pool-cookies', `${title}: ${CLIENTS} clients with cookies`, { cookies }),
      (host) => host === oneTarget || byCookie.includes(host),
    ),
  ];
}

/** Cookie lines of clients that have each been to the sticky route once. */
async function cookiesOf(proxy: Contender): Promise<string[]> {
  const lines: string[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const { cookie } = await ask(proxy, hosts[`${INSTANCES} instances, sticky`], '');
    if (cookie === undefined) throw new Error(`${proxy.name}: a sticky route sets no cookie`);
    lines.push(`user=u${i}; ${cookie.split(';')[0]}`);
  }
  return lines;
}

async function checkSpread(
  proxy: Contender,
  host: string,
  cookies: readonly string[],
  upstream: Upstream,
): Promise<void> {
  const seen = new Set<string>();
  for (const cookie of cookies) seen.add((await ask(proxy, host, cookie)).body);
  const all = host === oneTarget ? 1 : INSTANCES;
  if (seen.size !== all || ![...seen].every((port) => upstream.ports.includes(port)))
    throw new Error(`${CLIENTS} requests to ${host} reached ${seen.size} instances, not ${all}`);
}

function ask(proxy: Contender, host: string, cookie: string): Promise<{ body: string; cookie: string | undefined }> {
  return new Promise((resolve, reject) => {
    const headers = { host, ...(cookie === '' ? {} : { cookie }) };
    const options = { host: '127.0.0.1', port: proxy.port, path: '/who', headers, timeout: 10_000 };
    const request = http.get(options, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (text) => (body += text));
      response.on('end', () => {
        if (response.statusCode === 200) resolve({ body, cookie: response.headers['set-cookie']?.[0] });
        else reject(new Error(`${host} was answered ${response.statusCode}: ${body}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${host} was not answered in 10 s`)));
    request.on('error', reject);
  });
}
