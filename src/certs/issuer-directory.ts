import { CaFault, httpsUrl, type Transport } from './issuer-transport.ts';
import { oneLine } from './problem.ts';

/** What a CA offers, read from its directory (RFC 8555 §7.1.1). All URLs are https. */
export interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  /** RFC 9773; undefined: the CA has no ARI. */
  readonly renewalInfo: string | undefined;
  readonly termsOfService: string;
  readonly externalAccountRequired: boolean;
  /** Names of its profiles; undefined: it has none. */
  readonly profiles: readonly string[] | undefined;
  readonly caaIdentities: readonly string[];
}

const maxAgeMs = 600_000;
const notDirectory = 'Give the URL of its ACME directory (--acme), as the CA shows it';

/** Asks for the directory at most every ten minutes; those who ask at the same time share one request. */
export function createDirectory(url: string, transport: Transport): (now: number) => Promise<Directory> {
  let asked = Number.NEGATIVE_INFINITY;
  let current: Promise<Directory> | undefined;
  return (now) => {
    if (current !== undefined && now >= asked && now - asked < maxAgeMs) return current;
    asked = now;
    const fresh = transport.send({ method: 'GET', url }).then(({ data }) => readDirectory(data, url));
    current = fresh;
    fresh.catch(() => {
      if (current === fresh) current = undefined;
    });
    return fresh;
  };
}

/** @throws CaFault where it is none, or names a URL that is not https */
export function readDirectory(data: unknown, from: string): Directory {
  const { host } = new URL(from);
  if (!isObject(data)) throw new CaFault('OO_ACME_NOT_DIRECTORY', `${from} is no ACME directory`, host, notDirectory);
  const needed = (name: string) => {
    if (typeof data[name] !== 'string')
      throw new CaFault('OO_ACME_NOT_DIRECTORY', `${from} is no ACME directory: it has no ${name}`, host, notDirectory);
    return httpsUrl(data[name], `${name} URL in the CA's directory`).href;
  };
  const meta = isObject(data.meta) ? data.meta : {};
  return {
    newNonce: needed('newNonce'),
    newAccount: needed('newAccount'),
    newOrder: needed('newOrder'),
    renewalInfo: data.renewalInfo === undefined ? undefined : needed('renewalInfo'),
    termsOfService: oneLine(meta.termsOfService),
    externalAccountRequired: meta.externalAccountRequired === true,
    profiles: isObject(meta.profiles) ? Object.keys(meta.profiles).map(oneLine) : undefined,
    caaIdentities: Array.isArray(meta.caaIdentities) ? meta.caaIdentities.map(oneLine).filter(Boolean) : [],
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
