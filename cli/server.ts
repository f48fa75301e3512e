import type { OpenCertificateDatabase, OpenDatabase } from '../db/database.ts';
import type { Lock } from '../db/lock.ts';
import type { Configuration } from '../src/admin/configuration.ts';
import type { ServerSetting } from '../src/admin/process-api.ts';
import { systemClock } from '../src/clock.ts';
import { defaultRecentRequests } from '../src/core/impact.ts';
import type { RouteChange } from '../src/core/types.ts';
import { handlerSettings } from '../src/edge/handler-place.ts';
import { clearHandlers, HandlerProcesses } from '../src/edge/handler-processes.ts';
import type { EdgeSettings, ListenAddress } from '../src/edge/settings.ts';
import { claimPort, Supervisor } from '../src/edge/supervisor.ts';
import type { Services } from '../src/services/services.ts';
import type { CertificateOptions, ServerCertificates } from './certificates.ts';
import { builtInSocketPath, clearSocket, databasePath, lockPath, makeStateDir } from './state.ts';

/** How long the start waits for handlers. */
const handlerPatienceMs = 2_000;

export interface ServerOptions {
  readonly stateDir: string;
  /** A database URL; default: a file in the state directory. */
  readonly databaseUrl?: string;
  readonly databaseToken?: string;
  /** Encrypts private keys in the database; default: a key file in the state directory. */
  readonly encryptionKey?: string;
  readonly admin: ListenAddress;
  /** This machine, as `oo node ls` shows it. */
  readonly self: { readonly url: string; readonly id?: string; readonly az?: string };
  /** Names, without ports, under which the API answers also who shows no token. Default none. */
  readonly apiHosts?: readonly string[];
  /** The service port and its socket, and where handlers are, are added here. */
  readonly edge: Omit<EdgeSettings, 'service' | 'builtInSocket' | 'handlers'>;
  readonly certificates: CertificateOptions;
  /** What it was started with and where that came from, for `oo config`. Default: nothing is told. */
  readonly settings?: readonly ServerSetting[];
  readonly log: (line: string) => void;
}

/** A running edge with its database and admin servers. */
export interface RunningServer {
  readonly configuration: Configuration;
  readonly httpPort: number;
  /** 0: no HTTPS. */
  readonly httpsPort: number;
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
  const { stateDir } = options;
  const place = handlerSettings(stateDir);
  const edge = { ...options.edge, service: options.admin, builtInSocket: builtInSocketPath(stateDir), handlers: place };
  const supervisor = new Supervisor(edge, options.log);
  const handlers = new HandlerProcesses({
    ...{ ...place, log: options.log, drainTimeoutMs: edge.drainTimeoutMs },
    onHung: (key) => supervisor.tellHung(key),
  });
  let database: OpenDatabase | OpenCertificateDatabase | undefined;
  let lock: Lock | undefined;
  const release = async () => {
    handlers.stop();
    await database?.close();
    lock?.release();
  };
  try {
    makeStateDir(options.stateDir);
    // Where the libsql addon may be unpacked, should all else be mounted noexec.
    process.env.OO_STATE_DIR = options.stateDir;
    const { acquireLock } = await import('../db/lock.ts');
    lock = acquireLock(lockPath(options.stateDir), `The state directory ${options.stateDir}`);
    clearHandlers(place);
    await claimPort(options.admin);
    database = await open(options);
    return await startWith(options, supervisor, handlers, database, release);
  } catch (error) {
    supervisor.kill();
    await release();
    throw error;
  }
}

/** In test mode for the routes alone: no key is needed, none is made. */
async function open(options: ServerOptions): Promise<OpenDatabase | OpenCertificateDatabase> {
  const { stateDir, encryptionKey: key, log } = options;
  const { openDatabase } = await import('../db/database.ts');
  const where = { url: options.databaseUrl ?? databasePath(stateDir), authToken: options.databaseToken };
  const onDamaged = (error: Error) => log(error.message);
  if (options.edge.https === null) return openDatabase({ ...where, onDamaged });
  const database = await openDatabase({
    ...where,
    encryption: { key, stateDir, onDamaged },
  });
  const { made, path } = database.encryption;
  // At once: should something else fail now, it is not said again.
  if (made)
    log(`private keys are encrypted with the key file ${path}, made just now: keep a copy, the database needs it`);
  return database;
}

async function startWith(
  options: ServerOptions,
  supervisor: Supervisor,
  handlers: HandlerProcesses,
  database: OpenDatabase | OpenCertificateDatabase,
  release: () => Promise<void>,
): Promise<RunningServer> {
  const { log } = options;
  const onError = (error: Error) => log(error.message);
  const { createHandlerProof } = await import('../src/admin/handler-proof.ts');
  const { createConfiguration } = await import('../src/admin/configuration.ts');
  const { noCertificates, startCertificates } = await import('./certificates.ts');
  const { startServices } = await import('./services.ts');
  const { createEventHub } = await import('../src/admin/events.ts');
  const { createEventRing } = await import('../src/admin/event-ring.ts');
  const { createEmitters } = await import('./server-events.ts');
  const hub = createEventHub(Date.now);
  const events = createEventRing(hub, String(Date.now()));
  const emit = createEmitters(hub);
  // What is there before them is changed without them.
  const started: { services?: Services; certificates?: ServerCertificates } = {};
  const publish = async (change: RouteChange) => {
    // Before the first request can ask for them.
    await handlers.apply(change);
    await supervisor.publish(change);
    handlers.settle();
    started.services?.routesChanged(change);
    started.certificates?.routesChanged();
  };
  supervisor.secrets = await database.secrets.stickySecrets();
  const configuration = await createConfiguration({
    ...{ store: database.configuration, publish, onError },
    onSettings: ({ recentRequests = defaultRecentRequests }) => supervisor.keepRecent(recentRequests),
    onChange: emit.changed,
    proveHandlers: createHandlerProof({ prover: handlers, after: systemClock.after }),
    publishServices: async (definitions) => started.services?.registry.setDefinitions(definitions),
  });
  const services = await startServices({
    ...{ supervisor, log, self: options.self, shared: database.shared },
    stores: { registry: database.registry, health: database.health },
    onFlip: emit.flipped,
    table: () => configuration.table,
    definitions: () => configuration.services(),
    ownPorts: () => [supervisor.port, supervisor.httpsPort, supervisor.servicePort],
  });
  started.services = services;
  // What another server has changed while they started.
  await services.registry.setDefinitions(configuration.services());
  const routes = () => configuration.list();
  const keyed = 'certificates' in database ? database : undefined;
  const certificates = keyed
    ? await startCertificates({
        ...{ database: keyed, supervisor, routes, log },
        options: options.certificates,
        stateDir: options.stateDir,
        onEvent: emit.certificate,
      })
    : noCertificates();
  started.certificates = certificates;
  // One that does not come up must not keep the other routes from it.
  await handlers.apply({ save: routes(), remove: [] }, handlerPatienceMs);
  await supervisor.start({ current: () => ({ revision: configuration.table.revision, routes: routes() }) });
  emit.begin();
  certificates.begin();
  const close = async () => {
    events.stop();
    await certificates.stop();
    await services.stop();
    await configuration.close();
  };
  const { startAdmin } = await import('./server-admin.ts');
  const { admin, audit } = await startAdmin({
    ...{ options, supervisor, database, configuration, services, events, certificates: certificates.admin },
    refreshCertificates: () => certificates.refresh(),
  }).catch(async (error) => {
    await close();
    throw error;
  });
  return {
    configuration,
    httpPort: supervisor.port,
    httpsPort: supervisor.httpsPort,
    adminPort: supervisor.servicePort,
    database: database.where,
    async stop() {
      admin.close();
      // They would hold the workers up for as long as a drain may take.
      events.stop();
      // At once: workers that drain take no connections, and a CA that looks at them then counts a failure.
      const stopped = certificates.stop();
      await supervisor.drain(options.edge.drainTimeoutMs);
      await stopped;
      await services.stop();
      await configuration.close();
      admin.cut();
      await audit.stop();
      await release();
    },
    kill() {
      supervisor.kill();
      handlers.stop();
      clearSocket(options.stateDir);
    },
  };
}
