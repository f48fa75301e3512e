import type { OpenDatabase } from '../db/database.ts';
import type { Lock } from '../db/lock.ts';
import type { Configuration } from '../src/admin/configuration.ts';
import type { EdgeSettings, ListenAddress } from '../src/edge/settings.ts';
import { claimPort, Supervisor } from '../src/edge/supervisor.ts';
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
  // The workers load while this process loads the database, and it loads the admin API when they listen: a third of the
  // time to the first answer went by otherwise. So what is large is imported here where it is needed.
  const supervisor = new Supervisor(options.edge, options.log);
  let database: OpenDatabase | undefined;
  let lock: Lock | undefined;
  const release = async () => {
    await database?.close();
    lock?.release();
  };
  try {
    makeStateDir(options.stateDir);
    // Where the libsql addon may be unpacked, should all else be mounted noexec.
    process.env.OO_STATE_DIR = options.stateDir;
    const { acquireLock } = await import('../db/lock.ts');
    const { openDatabase } = await import('../db/database.ts');
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
  const { createConfiguration } = await import('../src/admin/configuration.ts');
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
  const { startAdminServers } = await import('./admin-servers.ts');
  const admin = await startAdminServers(options.stateDir, options.admin, {
    configuration,
    version: version(),
    status,
    onError,
  }).catch(async (error) => {
    await configuration.close();
    throw error;
  });
  return {
    configuration,
    httpPort: supervisor.port,
    adminPort: admin.port,
    database: database.where,
    async stop() {
      admin.close();
      await supervisor.drain(options.edge.drainTimeoutMs);
      await configuration.close();
      admin.cut();
      await release();
    },
    kill() {
      supervisor.kill();
      clearSocket(options.stateDir);
    },
  };
}
