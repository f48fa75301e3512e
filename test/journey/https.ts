import { randomBytes } from 'node:crypto';
import { type Pebble, type PebbleOptions, startPebble } from '../helpers/pebble.ts';
import { sleep } from '../helpers/wait.ts';
import { curl, type Fetched, pemFile } from './https-clients.ts';
import { freePort, type ServeOptions, type Server, serve } from './oo.ts';

/** A CA, and a server that gets its certificates there. */
export interface Secured {
  readonly pebble: Pebble;
  readonly server: Server;
  /** PEM file of the CA's root. */
  readonly caFile: string;
}

/** Starts a pebble that validates at the ports of a new `oo serve`, which is told of it. */
export async function serveWithPebble(pebbleOptions: PebbleOptions = {}, options: ServeOptions = {}): Promise<Secured> {
  const [port, httpsPort] = [options.port ?? (await freePort()), options.httpsPort ?? (await freePort())];
  const pebble = await startPebble({ httpPort: port, tlsPort: httpsPort, ...pebbleOptions });
  const server = await serve({ ...options, port, httpsPort, flags: [...acmeFlags(pebble), ...(options.flags ?? [])] });
  return { pebble, server, caFile: pemFile(await pebble.root()) };
}

/** What `oo serve` has to be told to get certificates from this CA. */
export function acmeFlags(pebble: Pick<Pebble, 'directory' | 'caFile'>): string[] {
  return ['--acme', pebble.directory, '--acme-ca-file', pebble.caFile];
}

/** Asks with curl until the answer is 200 by a trusted certificate; fails with curl's last words after `ms`. */
export async function fetched(
  url: string,
  port: number,
  caFile: string,
  ms = 15_000,
): Promise<Fetched & { ms: number }> {
  const began = performance.now();
  for (;;) {
    const page = await curl(url, { port, caFile });
    if (page.code === 0 && page.status === 200) return { ...page, ms: performance.now() - began };
    if (performance.now() - began > ms)
      throw new Error(`${url} is not served within ${ms} ms: ${page.status} ${page.err} ${page.body}`);
    await sleep(50);
  }
}

/** A host that no test before has used. */
export function newHost(): string {
  return `h${randomBytes(5).toString('hex')}.example.com`;
}
