import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { type AdminOptions, createAdminApp } from '../src/admin/app.ts';
import { createPublicApp } from '../src/admin/public.ts';
import type { ListenAddress } from '../src/edge/settings.ts';
import { ListenError } from '../src/edge/supervisor.ts';
import { clearSocket } from './state.ts';

/** The admin API on the state directory's socket, and what anybody may see on the service port. */
export interface AdminServers {
  readonly port: number;
  /** Takes no more calls; those under way may end. */
  close(): void;
  /** Cuts those under way, too. */
  cut(): void;
}

/** @throws ListenError; nothing is left open then */
export async function startAdminServers(
  stateDir: string,
  address: ListenAddress,
  options: AdminOptions,
): Promise<AdminServers> {
  const local = serve(createAdminApp(options));
  const open = serve(createPublicApp(options));
  const close = () => {
    for (const server of [local, open]) {
      server.close();
      server.closeIdleConnections();
    }
    clearSocket(stateDir);
  };
  const cut = () => {
    for (const server of [local, open]) server.closeAllConnections();
  };
  try {
    await listenOnSocket(local, clearSocket(stateDir));
    await listenOn(open, address);
  } catch (error) {
    // An open listener would keep this process alive.
    close();
    throw error;
  }
  return { port: (open.address() as AddressInfo).port, close, cut };
}

function serve(app: Hono): Server {
  return createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
}

/** Only the user who runs the server may use the socket: its mode is the lock of the admin API. */
async function listenOnSocket(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    await listening(server, { path });
  } finally {
    process.umask(before);
  }
}

async function listenOn(server: Server, address: ListenAddress): Promise<void> {
  try {
    await listening(server, { port: address.port, host: address.host });
  } catch (error) {
    const { code = 'EUNKNOWN', message } = error as NodeJS.ErrnoException;
    throw new ListenError(code, message, address);
  }
}

function listening(server: Server, where: { path: string } | { port: number; host?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
