import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createProxy,
  type ProxyApp,
  type ProxyFailure,
  type ProxyOptions,
  type ProxyRoute,
  routeOptions,
} from '../../src/index.ts';

const waitMs = 5_000;
const closers: (() => void)[] = [];

/** Closes all origins. */
export function closeOrigins(): void {
  for (const close of closers.splice(0)) close();
}

/** A request as an origin got it. */
export interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly raw: string[];
  readonly body: string;
}

export interface PortableOrigin {
  readonly address: string;
  readonly got: Got[];
}

/** An origin on loopback that keeps what it gets. @param answer once a request is complete; default: its method, path and body's length */
export async function origin(
  answer: (got: Got, response: http.ServerResponse) => void = ({ method, url, body }, response) =>
    void response.end(`${method} ${url} ${body.length}`),
): Promise<PortableOrigin> {
  const got: Got[] = [];
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request;
      got.push({ method, url, headers, raw: rawHeaders, body: Buffer.concat(parts).toString() });
      answer(got.at(-1)!, response);
    });
  });
  server.listen(0, '127.0.0.1');
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, got };
}

export interface Portable extends ProxyApp {
  readonly failures: ProxyFailure[];
}

/** A proxy of these routes, with all of their options. */
export function portable(routes: readonly Partial<ProxyRoute>[], options: Partial<ProxyOptions> = {}): Portable {
  const failures: ProxyFailure[] = [];
  const all = routes.map((route) => ({ id: 'app.test', ...route }));
  const hooks = { onFailure: (failure: ProxyFailure) => void failures.push(failure) };
  const proxy = createProxy({ routes: all, options: routeOptions, hooks, ...options });
  return { ...proxy, failures };
}

export type Init = RequestInit & { duplex?: 'half'; from?: string };

/** Asks a proxy, as a client of the address `from`. */
export function askPortable(proxy: ProxyApp, path: string, { from = '192.0.2.7', ...init }: Init = {}) {
  const url = path.startsWith('/') ? `http://app.test${path}` : path;
  const request = new Request(url, { signal: AbortSignal.timeout(waitMs), ...init });
  return proxy.fetch(request, { incoming: { socket: { remoteAddress: from } } });
}
