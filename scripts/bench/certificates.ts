import { request } from 'node:http';
import { join } from 'node:path';
import tls from 'node:tls';
import { type Minted, mint } from './identity.ts';
import { type OoState, ooState, saveRoutes, serveOo } from './oo.ts';
import { listens, memoryOf, PROXY_CORE, type Started } from './process.ts';
import type { Contender, Setup } from './proxy.ts';
import { sleep } from './stats.ts';

/** Certificates that one request to save them holds. */
const AT_ONCE = 500;

/** A server that has certificates for many names. */
export interface ManyCertificates {
  readonly proxy: Contender;
  readonly names: readonly string[];
  /** From spawning it to a handshake with the last certificate that was saved, ms. */
  readonly startMs: number;
  /** Memory of all its processes after its start, bytes. */
  readonly bytes: number;
}

/** Starts oo with so many certificates of its own, each with a key, saved through its API; one wildcard route is for all names. */
export async function startWithCertificates(
  command: readonly string[],
  setup: Setup,
  count: number,
): Promise<ManyCertificates> {
  const state = await ooState(command, setup.dir);
  const names = Array.from({ length: count }, (_, i) => `c${`${i}`.padStart(5, '0')}.certs.example.com`);
  const minted = mint(join(setup.dir, 'model'), names);
  const first = serveOo(state, PROXY_CORE);
  await listens(first, state.adminPort);
  await saveRoutes(state, setup, 0);
  for (let i = 0; i < count; i += AT_ONCE) await save(state, minted.slice(i, i + AT_ONCE));
  await first.stop();

  const started = performance.now();
  const program = serveOo(state, PROXY_CORE);
  await shows(program, state.tlsPort, minted.at(-1)!);
  const startMs = performance.now() - started;
  await listens(program, state.adminPort);
  await sleep(1000);
  const { port, tlsPort } = state;
  const proxy = { name: `${count} certificate${count === 1 ? '' : 's'}`, version: '', port, tlsPort, program };
  return { proxy, names, startMs, bytes: memoryOf(program.pid) };
}

/** The seed's call, which takes many at once. */
function save(state: OoState, minted: readonly Minted[]): Promise<void> {
  const body = JSON.stringify({ certs: minted.map(({ name, cert, key }) => ({ id: name, cert: cert + key })) });
  return new Promise((resolve, reject) => {
    const socketPath = join(state.dir, 'oo.sock');
    const headers = { 'content-type': 'application/json' };
    const asked = request({ socketPath, method: 'PUT', path: '/proxy-svc/certs', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${minted.length} certificates were not saved: ${response.statusCode} ${text}`));
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Tries anew until a handshake for the name shows its certificate; throws with what the program said after a minute. */
async function shows(program: Started, port: number, { name, cert }: Minted): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(5)) {
    if (program.hasEnded()) break;
    const shown = await new Promise<boolean>((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', port, servername: name, ca: cert }, () => resolve(true));
      socket.on('secureConnect', () => socket.destroy());
      socket.on('error', () => resolve(false));
      socket.setTimeout(1000, () => socket.destroy());
      socket.on('close', () => resolve(false));
    });
    if (shown) return;
  }
  throw new Error(`no certificate for ${name} within a minute; the program said:\n${program.output()}`);
}
