import { defaultEdgeSettings, type EdgeSettings, type ListenAddress } from '../edge/settings.ts';
import { createTrust } from '../edge/trust.ts';
import { proveList, proveMapping, proveText, show } from './shape.ts';
import type { EdgeLimits, EdgeOptions } from './types.ts';

/** Each with the least that it may be. */
const limits: Readonly<Record<keyof EdgeLimits, number>> = {
  connectTimeoutMs: 1,
  headTimeoutMs: 1,
  responseTimeoutMs: 1,
  idleTimeoutMs: 1,
  keepAliveTimeoutMs: 1,
  upstreamIdleMs: 0,
  tunnelIdleMs: 1,
  minBodyRate: 0,
  maxHeadBytes: 1024,
  maxFields: 1,
  maxTargetBytes: 1,
  maxUpstreamConnections: 1,
};

const others = [
  ...['routes', 'services', 'http', 'https', 'certificates', 'trustedProxies', 'stickySecrets', 'accessLog', 'log'],
  ...['hooks', 'handlers'],
];
const leastSecret = 16;
const most = 2 ** 31 - 1;

/** What an edge is told of itself. @throws TypeError for an option that can't be used */
export function readSettings(options: EdgeOptions): EdgeSettings {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('createEdge needs options: { routes, http }');
  const told: Partial<Record<keyof EdgeLimits, number>> = {};
  for (const [name, value] of Object.entries(options)) {
    // A misspelled option would be one that is not there.
    const isLimit = Object.hasOwn(limits, name);
    if (!isLimit && !others.includes(name))
      throw new TypeError(
        `createEdge has no option '${name}'; it has ${[...others, ...Object.keys(limits)].join(', ')}`,
      );
    if (!isLimit || value === undefined) continue;
    const limit = name as keyof EdgeLimits;
    if (!Number.isInteger(value) || value < limits[limit] || value > most)
      throw new TypeError(`${name} is ${show(value)}; expected a whole number from ${limits[limit]} to ${most}`);
    told[limit] = value;
  }
  const http = options.http === undefined ? defaultEdgeSettings.http : readAddress('http', options.http);
  const https = readAddress('https', options.https ?? null);
  if (http === null && https === null) throw new TypeError('http and https are null; expected one of them at least');
  return {
    ...{ ...defaultEdgeSettings, ...told },
    ...{ http: http ?? defaultEdgeSettings.http, https, workers: 1 },
    trustedProxies: readTrusted(options.trustedProxies ?? []),
  };
}

/** Secrets of sticky cookies, in base64; none: undefined. @throws TypeError */
export function readSecrets(secrets: readonly string[] | undefined): readonly string[] | undefined {
  if (secrets === undefined) return undefined;
  const isGood = (secret: unknown) => typeof secret === 'string' && secret.length >= leastSecret;
  if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isGood))
    throw new TypeError(
      `stickySecrets is to be a list of texts of at least ${leastSecret} characters, the newest first`,
    );
  return secrets.map((secret) => Buffer.from(secret).toString('base64'));
}

function readAddress(name: 'http' | 'https', address: ListenAddress | null): ListenAddress | null {
  if (address === null) return null;
  // Without its host it would listen on all addresses.
  proveMapping(name, address, 'such as { port: 8080 }', ['port', 'host']);
  const { port, host } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new TypeError(`${name}.port is ${show(port)}; expected a number from 0 (any free one) to 65535`);
  if (host !== undefined && (typeof host !== 'string' || host === ''))
    throw new TypeError(`${name}.host is ${show(host)}; expected an address of this machine, or none for all`);
  return host === undefined ? { port } : { port, host };
}

function readTrusted(proxies: readonly string[]): readonly string[] {
  proveList('trustedProxies', proxies, 'a list of CIDRs');
  for (const proxy of proxies) proveText('trustedProxies', proxy, 'addresses or CIDRs');
  try {
    createTrust(proxies);
  } catch (cause) {
    throw new TypeError((cause as Error).message, { cause });
  }
  return [...proxies];
}
