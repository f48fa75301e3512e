import { lookup, Resolver } from 'node:dns/promises';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import type { AddressAnswer, Family, NameSource } from './resolver-types.ts';

const timeoutMs = 2_000;
const tries = 2;
/** The system's look-ups block a thread each, of four that all of Node shares. */
const mostLookUps = 2;
const mostWaiting = 100;

export interface NameSourceOptions {
  /** DNS servers, `127.0.0.1:5353`. Default: the system's. */
  readonly servers?: readonly string[];
  /** Default /etc/hosts. */
  readonly hostsFile?: string;
  /** @see NameSource.lookUp; default: the system's */
  readonly lookUp?: (name: string) => Promise<readonly string[]>;
}

/** The real one. */
export function createNameSource(options: NameSourceOptions = {}): NameSource {
  const { servers, hostsFile = '/etc/hosts', lookUp = systemLookUp } = options;
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  if (servers !== undefined) resolver.setServers(servers);
  const hosts = new HostsFile(hostsFile);
  return {
    resolve: (name, family) => resolve(resolver, name, family),
    lookUp: inTurn(lookUp),
    hosts: (name) => hosts.get(name),
  };
}

async function resolve(resolver: Resolver, name: string, family: Family): Promise<AddressAnswer> {
  try {
    const ttl = { ttl: true } as const;
    const records = await (family === 4 ? resolver.resolve4(name, ttl) : resolver.resolve6(name, ttl));
    const ttlSeconds = records.reduce((least, record) => Math.min(least, record.ttl), Number.POSITIVE_INFINITY);
    return { addresses: records.map(({ address }) => address), ttlSeconds: records.length > 0 ? ttlSeconds : 0 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENODATA') return { addresses: [], ttlSeconds: 0 };
    throw error;
  }
}

async function systemLookUp(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}

/** Two at a time; the rest wait, and too many are refused. */
function inTurn(work: (name: string) => Promise<readonly string[]>): (name: string) => Promise<readonly string[]> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (name) => {
    if (running >= mostLookUps) {
      if (waiting.length >= mostWaiting) throw new Error('too many names are being looked up');
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work(name);
    } finally {
      // The place is handed on.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

const maxHostsBytes = 1_048_576;

/** A hosts file, read again when it has changed. */
class HostsFile {
  readonly #path: string;
  #stamp = '';
  #names = new Map<string, string[]>();

  constructor(path: string) {
    this.#path = path;
  }

  get(name: string): readonly string[] {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp !== this.#stamp && size <= maxHostsBytes) {
        this.#names = parseHosts(readFileSync(this.#path, 'utf8'));
        this.#stamp = stamp;
      }
    } catch {
      // A system without one has no names in it.
      this.#names.clear();
      this.#stamp = '';
    }
    return this.#names.get(name) ?? [];
  }
}

function parseHosts(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const alias of aliases) {
      const name = alias.toLowerCase();
      names.set(name, [...(names.get(name) ?? []), address]);
    }
  }
  return names;
}
