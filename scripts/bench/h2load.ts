import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECTIONS, type Counted, type Load } from './load.ts';
import { run } from './process.ts';
import { type Contender, LOAD_HOST, TLS_CIPHER, TLS_GROUP } from './proxy.ts';

/** HTTP/2 over kept connections, `what.streams` requests at once on each. @throws with h2load's output where it can't be run */
export async function h2load(proxy: Contender, what: Load, seconds: number, dir: string): Promise<Counted> {
  const length = what.requests > 0 ? `-n${what.requests}` : `-D${seconds}`;
  const flags = ['-t1', `-c${CONNECTIONS}`, `-m${what.streams}`, length];
  const tls = [`--tls13-ciphers=${TLS_CIPHER}`, `--groups=${TLS_GROUP}`, `--connect-to=127.0.0.1:${proxy.tlsPort}`];
  const body = what.uploadBytes > 0 ? [`--data=${writeBody(what, dir)}`] : [];
  const output = await run(['h2load', ...flags, ...tls, ...body, `https://${LOAD_HOST}${what.path}`]);
  return read(output, seconds);
}

/**
 * Reads what h2load says at its end. Requests that were running when the time was over count as started only.
 * @throws with all of it where it is not what this was written for, or another protocol was spoken
 */
function read(output: string, seconds: number): Counted {
  const said = (pattern: RegExp): string[] => {
    const found = pattern.exec(output);
    if (found === null) throw new Error(`h2load says other things than it used to: ${output}`);
    return found.slice(1);
  };
  said(/^Application protocol: (h2)$/m);
  said(/^TLS Protocol: (TLSv1\.3)$/m);
  const [done, succeeded, failed, errored, timeout] = said(
    /^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m,
  ).map(Number);
  const [good] = said(/^status codes: (\d+) 2xx/m).map(Number);
  const [bytes] = said(/^traffic: .*\((\d+)\) data$/m).map(Number);
  const errors = { failed, errored, timeout, 'not succeeded': done - succeeded, 'not 2xx': Math.max(0, done - good) };
  return { requests: done, bytes, seconds, p99Ms: undefined, errors };
}

function writeBody(what: Load, dir: string): string {
  const path = join(dir, `body-${what.id}`);
  writeFileSync(path, Buffer.alloc(what.uploadBytes, 'u'));
  return path;
}
