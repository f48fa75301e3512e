import { rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { type AdminOptions, createAdminApp } from '../src/admin/app.ts';
import { createPublicApp, type PublicOptions } from '../src/admin/public.ts';
import { clearSocket } from './state.ts';

/** The admin API on the state directory's socket, and the service port's built-in paths on the one that workers forward them to. */
export interface AdminServers {
  /** Takes no more calls; those under way may end. */
  close(): void;
  /** Cuts those under way, too. */
  cut(): void;
}

/**
 * @param builtInSocket path of the workers' socket; there is nothing else there
 * @throws the system's errors; nothing is left open then
 */
export async function startAdminServers(
  stateDir: string,
  builtInSocket: string,
  options: AdminOptions & PublicOptions,
): Promise<AdminServers> {
  const local = serve(createAdminApp(options));
  const open = serve(createPublicApp(options));
  const close = () => {
    for (const server of [local, open]) {
      server.close();
      server.closeIdleConnections();
    }
    clearSocket(stateDir);
    rmSync(builtInSocket, { force: true });
  };
  const cut = () => {
    for (const server of [local, open]) server.closeAllConnections();
  };
  try {
    // A killed server has left its own.
    rmSync(builtInSocket, { force: true });
    await listenOnSocket(open, builtInSocket);
    await listenOnSocket(local, clearSocket(stateDir));
  } catch (error) {
    // An open listener would keep this process alive.
    close();
    throw error;
  }
  return { close, cut };
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

function listening(server: Server, where: { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
