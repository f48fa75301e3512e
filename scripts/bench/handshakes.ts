import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECTIONS, type Counted, type Load } from './load.ts';
import { run } from './process.ts';
import { type Contender, LOAD_HOST, TLS_CIPHER, TLS_GROUP, TLS_NAME } from './proxy.ts';

/** What `handshake-client.ts` is told, as JSON. */
export interface HandshakeOrder {
  readonly port: number;
  readonly seconds: number;
  readonly lanes: number;
  readonly resumed: boolean;
  readonly names: readonly string[];
  readonly host: string;
  readonly path: string;
  readonly cipher: string;
  readonly group: string;
}

/** What it says. */
export interface HandshakeResult {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p99Ms: number;
  readonly errors: Readonly<Record<string, number>>;
}

/** One handshake after the other on each of the lanes, each with one request. */
export async function handshakes(proxy: Contender, what: Load, seconds: number, dir: string): Promise<Counted> {
  const order: HandshakeOrder = {
    port: proxy.tlsPort,
    seconds,
    lanes: CONNECTIONS,
    resumed: what.resumed,
    names: what.names.length > 0 ? what.names : [TLS_NAME],
    // A certificate is asked for by its name; the Host then has to be one of its names.
    host: what.names.length > 0 ? '' : LOAD_HOST,
    path: what.path,
    cipher: TLS_CIPHER,
    group: TLS_GROUP,
  };
  const file = join(dir, `handshakes-${what.id}.json`);
  writeFileSync(file, JSON.stringify(order));
  const output = await run([process.execPath, join(import.meta.dirname, 'handshake-client.ts'), file]);
  const said = /^BENCH (.*)$/m.exec(output)?.[1];
  if (said === undefined) throw new Error(output);
  return JSON.parse(said) as HandshakeResult;
}
