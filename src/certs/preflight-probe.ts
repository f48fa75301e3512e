import type { CaaRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { request } from 'node:http';

/** What the world says of a name: asked of DNS and by HTTP, as a CA asks. */
export interface Probe {
  /** IPv4 addresses; [] for none. @throws errors of node:dns, but ENODATA */
  resolve4(name: string): Promise<readonly string[]>;
  resolve6(name: string): Promise<readonly string[]>;
  /** Records at this very name; [] for none. @throws as resolve4 */
  resolveCaa(name: string): Promise<readonly CaaRecord[]>;
  /** GET of a path from an address. @throws errors of node:net; ETIMEDOUT */
  get(address: string, port: number, host: string, path: string): Promise<Got>;
}

export interface Got {
  readonly status: number;
  /** The Server field; '' if it sent none. */
  readonly server: string;
  /** The first bytes. */
  readonly body: string;
}

const dnsTimeoutMs = 3_000;
const dnsTries = 2;
const httpTimeoutMs = 5_000;
const maxBody = 4_096;

/** @param servers of DNS, `127.0.0.1:8053`; default: the system's */
export function createProbe(servers?: readonly string[]): Probe {
  // Unlike lookup, it does not read /etc/hosts: a CA doesn't either.
  const resolver = new Resolver({ timeout: dnsTimeoutMs, tries: dnsTries });
  if (servers) resolver.setServers(servers);
  return {
    resolve4: (name) => listed(resolver.resolve4(name)),
    resolve6: (name) => listed(resolver.resolve6(name)),
    resolveCaa: (name) => listed(resolver.resolveCaa(name)),
    get,
  };
}

/** That a name is there and has no such record is an answer. */
async function listed<T>(records: Promise<T[]>): Promise<T[]> {
  try {
    return await records;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENODATA') return [];
    throw error;
  }
}

function get(address: string, port: number, host: string, path: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: address, port, path, headers: { host, connection: 'close' }, agent: false });
    // From the first byte to the last: a trickle is no answer.
    const timer = setTimeout(() => {
      outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }));
    }, httpTimeoutMs);
    const end = (work: () => void) => {
      clearTimeout(timer);
      work();
    };
    outgoing.on('error', (error) => end(() => reject(error)));
    outgoing.on('response', (response) => {
      let body = '';
      const done = () =>
        end(() => resolve({ status: response.statusCode ?? 0, server: String(response.headers.server ?? ''), body }));
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        body += chunk;
        if (body.length < maxBody) return;
        done();
        response.destroy();
      });
      response.on('error', (error) => end(() => reject(error)));
      response.on('end', done);
    });
    outgoing.end();
  });
}
