import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { type OpenDatabase, openDatabase } from '../db/database.ts';
import { acquireLock, type Lock } from '../db/lock.ts';
import { createAdminApp } from '../src/admin/app.ts';
import { type Configuration, createConfiguration } from '../src/admin/configuration.ts';
import { createPublicApp } from '../src/admin/public.ts';
import type { EdgeSettings, ListenAddress } from '../src/edge/settings.ts';
import { claimPort, ListenError, Supervisor } from '../src/edge/supervisor.ts';
import { clearSocket, databasePath, lockPath, makeStateDir } from './state.ts';
import { version } from './version.ts';

export interface ServerOptions {
  readonly stateDir: string;
  /** A database URL; default: a file in the state directory. */
  readonly databaseUrl?: string;
  readonly databaseToken?: string;
  readonly admin: ListenAddress;
  readonly edge: EdgeSettings;
  readonly log: (line: string) => void;
}

/** A running edge with its database and admin servers. */
export interface RunningServer {
  readonly configuration: Configuration;
  readonly httpPort: number;
  readonly adminPort: number;
  readonly database: string;
  /** Lets running requests end, for `drainTimeoutMs` at most; then everything is closed. */
  stop(): Promise<void>;
  /** Ends the workers at once. */
  kill(): void;
}

/**
 * Starts the whole of oo in this process and its workers. Resolves when every worker listens.
 * @throws ListenError, or the database's StoreFailure; nothing is left running then
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  // The workers load while the database is opened: half of the start-up time goes by at once.
  const supervisor = new Supervisor(options.edge, options.log);
  let database: OpenDatabase | undefined;
  let lock: Lock | undefined;
  const release = async () => {
    await database?.close();
    lock?.release();
  };
  try {
    makeStateDir(options.stateDir);
    lock = acquireLock(lockPath(options.stateDir), `The state directory ${options.stateDir}`);
    await claimPort(options.admin);
    database = await openDatabase({
      url: options.databaseUrl ?? databasePath(options.stateDir),
      authToken: options.databaseToken,
    });
    return await startWith(options, supervisor, database, release);
  } catch (error) {
    supervisor.kill();
    await release();
    throw error;
  }
}

async function startWith(
  options: ServerOptions,
  supervisor: Supervisor,
  database: OpenDatabase,
  release: () => Promise<void>,
): Promise<RunningServer> {
  const { log } = options;
  const onError = (error: Error) => log(error.message);
  const publish = supervisor.publish.bind(supervisor);
  const configuration = await createConfiguration({ store: database.routes, publish, onError });
  await supervisor.start({
    current: () => ({ revision: configuration.table.revision, routes: configuration.list() }),
  });
  const startedAt = new Date().toISOString();
  const status = () => ({
    startedAt,
    database: database.where,
    http: supervisor.port,
    workers: supervisor.pids(),
  });
  const local = serve(createAdminApp({ configuration, version: version(), status, onError }));
  const open = serve(createPublicApp({ version: version() }));
  /** Takes no more calls; those under way may end. */
  const closeAdmin = () => {
    for (const server of [local, open]) {
      server.close();
      server.closeIdleConnections();
    }
    clearSocket(options.stateDir);
  };
  const cutAdmin = () => {
    for (const server of [local, open]) server.closeAllConnections();
  };
  try {
    await listenOnSocket(local, clearSocket(options.stateDir));
    await listenOn(open, options.admin);
  } catch (error) {
    // An open listener would keep this process alive.
    closeAdmin();
    await configuration.close();
    throw error;
  }
  return {
    configuration,
    httpPort: supervisor.port,
    adminPort: (open.address() as AddressInfo).port,
    database: database.where,
    async stop() {
      closeAdmin();
      await supervisor.drain(options.edge.drainTimeoutMs);
      await configuration.close();
      cutAdmin();
      await release();
    },
    kill() {
      supervisor.kill();
      clearSocket(options.stateDir);
    },
  };
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
