import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultEdgeSettings } from '../src/edge/settings.ts';
import { certificateSettings } from './certificate-settings.ts';
import { readSettings } from './environment.ts';
import { type RunningServer, startServer } from './server.ts';

/**
 * `oo demo`: two small upstreams and an edge in front of them, on free ports, with a database that is thrown away.
 * Runs until a signal. Resolves with the exit code.
 */
export async function demo(): Promise<number> {
  // First of all: a Ctrl-C while it starts must leave nothing behind either.
  const signals = listenForSignals();
  const stateDir = mkdtempSync(join(tmpdir(), 'oo-demo-'));
  const upstreams = await Promise.all([startUpstream('Server A'), startUpstream('Server B')]);
  try {
    const server = await startServer({
      stateDir,
      admin: { port: 0, host: '127.0.0.1' },
      self: { url: 'http://127.0.0.1' },
      edge: {
        ...defaultEdgeSettings,
        http: { port: 0 },
        https: { port: 0 },
        workers: Math.min(2, defaultEdgeSettings.workers),
      },
      // Its hosts get theirs from the local CA.
      certificates: { ...readSettings(certificateSettings, {}, {}), acme: null },
      log: (line) => process.stderr.write(`${line}\n`),
    });
    await saveRoutes(server, upstreams.map(portOf));
    process.stdout.write(describe(server, stateDir));
    await signals.first;
    await Promise.race([server.stop(), signals.second.then(() => server.kill())]);
    return 0;
  } finally {
    for (const upstream of upstreams) {
      upstream.close();
      upstream.closeAllConnections();
    }
    rmSync(stateDir, { recursive: true, force: true });
  }
}

function startUpstream(name: string): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url === '/' ? '' : `, asked for ${request.url}`;
    response.end(`${name}${path}\n`);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** The seed document's two routes, and one by path; over plain HTTP, too, so that curl needs to trust nobody. */
async function saveRoutes(server: RunningServer, [portA, portB]: number[]): Promise<void> {
  const routes = [
    { id: '127.0.0.1', target: `127.0.0.1:${portA}` },
    { id: 'localhost', target: `127.0.0.1:${portB}` },
    { id: 'localhost/a', target: `127.0.0.1:${portA}` },
  ].map((route) => ({ ...route, http: 'allow' as const }));
  const saved = await server.configuration.save(routes, { actor: 'demo' });
  if ('faults' in saved) throw new Error(saved.faults[0].message);
}

function describe(server: RunningServer, stateDir: string): string {
  const port = server.httpPort;
  return `oo runs: two web apps behind port ${port} (HTTP) and ${server.httpsPort} (HTTPS). Try, in another terminal:

  curl 127.0.0.1:${port}            # Server A
  curl localhost:${port}            # Server B
  curl localhost:${port}/a/page     # Server A, by its path: the longest prefix wins
  curl -k https://localhost:${server.httpsPort}   # Server B, by a certificate of the local CA that oo trust makes known

  ${self()} routes ls --state-dir ${stateDir}

Ctrl-C stops all of it.
`;
}

/** How this program was called. */
function self(): string {
  return process.execPath.endsWith('/oo') ? process.execPath : 'oo';
}

/** The first signal asks for an end, the second for one at once. */
function listenForSignals(): { first: Promise<void>; second: Promise<void> } {
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let count = 0;
  const onSignal = () => (count++ === 0 ? first : second).resolve();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { first: first.promise, second: second.promise };
}
