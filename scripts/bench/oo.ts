import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { freePort, listens, PROXY_CORE, run, type Started, start, versionOf } from './process.ts';
import { type Contender, LOAD_HOST, type Setup, WITNESS_HOST } from './proxy.ts';

/** A state directory with its routes saved, and the ports that belong to it. */
export interface OoState {
  readonly command: readonly string[];
  readonly dir: string;
  readonly port: number;
  readonly tlsPort: number;
  /** Listens last: then the server takes routes. */
  readonly adminPort: number;
  readonly ports: readonly string[];
}

/** A route beside the usual ones, as it stands in a file. */
export interface MoreRoute {
  readonly id: string;
  readonly target: string | readonly string[];
  readonly balance?: Readonly<Record<string, unknown>>;
  readonly http?: 'allow';
  /** Its options. */
  readonly [option: string]: unknown;
}

/** Host name of a route of the large table. */
export function hostOf(index: number): string {
  return `h${index}.example.com`;
}

/**
 * Starts `oo serve` with one data worker on the proxy's core and saves the routes through `oo route save`.
 * @param command how to run oo, `['dist/oo']`
 * @param hosts how many further routes (`hostOf`) lead to the upstream under load
 * @param more further routes of any kind
 */
export async function startOo(
  command: readonly string[],
  setup: Setup,
  hosts: number,
  name = 'oo',
  more: readonly MoreRoute[] = [],
): Promise<Contender> {
  const state = await ooState(command, setup.dir);
  const program = serveOo(state, PROXY_CORE);
  await listens(program, state.adminPort);
  await saveRoutes(state, setup, hosts, more);
  await saveIdentity(state, setup.identity);
  return {
    name,
    version: versionOf([...command, '--version']) ?? '',
    port: state.port,
    tlsPort: state.tlsPort,
    program,
  };
}

/** Makes the directory and picks the ports. */
export async function ooState(command: readonly string[], dir: string): Promise<OoState> {
  mkdirSync(dir, { recursive: true });
  const [port, tlsPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const ports = ['--http-port', `${port}`, '--https-port', `${tlsPort}`, '--admin-port', `${adminPort}`];
  return { command, dir, port, tlsPort, adminPort, ports };
}

/** Starts `oo serve` over a state directory. */
export function serveOo(state: OoState, cores: string): Started {
  const flags = ['--acme', 'off', ...state.ports, '--state-dir', state.dir, '--workers', '1'];
  return start([...state.command, 'serve', ...flags], cores);
}

/** Saves the certificate that all proxies show. */
async function saveIdentity(state: OoState, { certFile, keyFile }: Identity): Promise<void> {
  const files = ['--cert', certFile, '--key', keyFile];
  await run([...state.command, 'cert', 'save', LOAD_HOST, ...files, '--state-dir', state.dir]);
}

/** Saves the routes of both upstreams, `hosts` further ones and `more` through the running server. */
export async function saveRoutes(
  state: OoState,
  setup: Setup,
  hosts: number,
  more: readonly MoreRoute[] = [],
): Promise<void> {
  const load = `http://127.0.0.1:${setup.upstreamPort}`;
  // Both ways are measured: plain HTTP must not be redirected.
  const http = 'allow';
  const routes: MoreRoute[] = [
    { id: LOAD_HOST, target: load, http },
    { id: WITNESS_HOST, target: `http://127.0.0.1:${setup.witnessPort}`, http },
    { id: '*.certs.example.com', target: load, http },
    ...more,
  ];
  for (let index = 0; index < hosts; index++) routes.push({ id: hostOf(index), target: load, http });
  const file = join(state.dir, 'bench-routes.json');
  writeFileSync(file, JSON.stringify(routes));
  await run([...state.command, 'route', 'save', file, '--state-dir', state.dir]);
}
