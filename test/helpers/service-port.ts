import http from 'node:http';
import { join } from 'node:path';
import { instanceKey } from '../../src/core/pool-compile.ts';
import type { ServiceOptions, ServiceState } from '../../src/core/pool-types.ts';
import { compileService } from '../../src/core/service.ts';
import { Edge } from '../../src/edge/edge.ts';
import { defaultEdgeSettings, type EdgeSettings } from '../../src/edge/settings.ts';
import { closeLater } from './cleanup.ts';
import { temporary } from './temporary.ts';

/** An edge with a service port on a free port of 127.0.0.1, in this process. */
export interface ServicePort {
  readonly edge: Edge;
  readonly port: number;
  /** Lines of the error log. */
  readonly errors: string[];
  /** Lines of the access log. */
  readonly access: string[];
  /** Adds a service, or replaces it. */
  save(slug: string, urls: readonly string[], options?: ServiceOptions): void;
  /** Says that probes have found instances of services without options down; others stay as they are. */
  down(...urls: string[]): void;
  up(...urls: string[]): void;
  remove(...slugs: string[]): void;
  close(): void;
}

const noChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };

/** Starts one. @param services urls of instances by slug */
export async function startServicePort(
  services: Readonly<Record<string, readonly string[]>> = {},
  settings: Partial<EdgeSettings> = {},
): Promise<ServicePort> {
  const errors: string[] = [];
  const access: string[] = [];
  const log = { access: (line: string) => void access.push(line), error: (line: string) => void errors.push(line) };
  const edge = new Edge({ ...defaultEdgeSettings, ...settings }, log);
  const port = await edge.listenService({ port: 0, host: '127.0.0.1' }, false);
  edge.changePools({ ...noChange, services: Object.entries(services).map(([slug, urls]) => state(slug, urls)) }, true);
  return closeLater({
    ...{ edge, port, errors, access },
    save: (slug, urls, options) => edge.changePools({ ...noChange, services: [state(slug, urls, options)] }, false),
    down: (...urls) => edge.changePools({ ...noChange, down: urls.map(keyOf) }, false),
    up: (...urls) => edge.changePools({ ...noChange, up: urls.map(keyOf) }, false),
    remove: (...gone) => edge.changePools({ ...noChange, gone }, false),
    close: () => edge.close(),
  });
}

function keyOf(url: string): string {
  const { targets, settings } = compileService(state('any', [url])).pool;
  return instanceKey(targets[0].target, false, settings.instance);
}

function state(slug: string, urls: readonly string[], options: ServiceOptions = {}): ServiceState {
  return { slug, options, members: urls.map((url) => ({ url, weight: 1, priority: 0 })) };
}

/** What the main process is to a worker: a server on a unix socket. */
export interface BuiltInServer {
  readonly socketPath: string;
  /** Connections that it has accepted so far. */
  accepted(): number;
  close(): void;
}

/** Starts one that answers by `handler`; `cleanUp` ends it at the latest. */
export async function startBuiltIn(
  handler: http.RequestListener,
  socketPath = join(temporary(), 'built-in.sock'),
): Promise<BuiltInServer> {
  const server = http.createServer(handler);
  let accepted = 0;
  server.on('connection', () => accepted++);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return closeLater({ socketPath, accepted: () => accepted, close });
}
