import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { clearSocket } from '../../cli/state.ts';
import { createAdminApp } from '../../src/admin/app.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { createPublicApp } from '../../src/admin/public.ts';
import { createTokenDesk } from '../../src/admin/token-desk.ts';
import { createRegistry } from '../../src/services/registry.ts';
import type { RegistrySettings } from '../../src/services/registry-types.ts';
import type { PoolChanges } from '../../src/services/types.ts';
import { memoryRegistryStore } from './memory-registry-store.ts';
import { memoryStore } from './memory-store.ts';
import { memoryTokenStore } from './memory-token-store.ts';

export const selfUrl = 'http://127.0.0.1:11337';

/** A server's admin and service port apps, as far as services and tokens need them; the registry is the real one. */
export async function registryApps(settings: Partial<RegistrySettings> = {}) {
  const store = memoryRegistryStore();
  const tokenStore = memoryTokenStore();
  const tokens = createTokenDesk(tokenStore);
  const published: PoolChanges[] = [];
  const faults: Error[] = [];
  const registry = createRegistry({
    store,
    publish: async (changes) => void published.push(changes),
    settings: { self: { url: selfUrl, id: 'node-1' }, reserved: ['v1', 'healthz'], ...settings },
    log: () => {},
  });
  await registry.start();
  const configuration = await createConfiguration({
    ...{ store: memoryStore([]), publish: async () => {} },
    publishServices: (definitions) => registry.setDefinitions(definitions),
  });
  const options = {
    ...{ configuration, registry, tokens, version: '1' },
    onError: (error: Error) => void faults.push(error),
  };
  const admin = createAdminApp(options);
  const open = createPublicApp(options);
  return {
    ...{ store, tokenStore, tokens, published, faults, registry, configuration, admin, open },
    stop: () => registry.stop(),
  };
}

/** Calls an app. @returns status, headers, and the body as JSON, null if it is empty */
export function callerOf(app: Hono, token?: string) {
  return async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await app.request(`${selfUrl}${path}`, {
      method,
      body: text,
      headers: { ...authorization, ...headers },
    });
    const answer = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
      body: JSON.parse(answer || 'null') as any,
    };
  };
}

/** Serves an app on a socket's path, or on a free port of 127.0.0.1 (`port`, or this one). */
export async function serveApp(app: Hono, where: { dir: string } | { port: number }) {
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if ('dir' in where) server.listen(clearSocket(where.dir), resolve);
    else server.listen(where.port, '127.0.0.1', resolve);
  });
  return {
    port: 'dir' in where ? 0 : (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
