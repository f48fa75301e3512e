import { randomUUID } from 'node:crypto';
import type { OpenCertificateDatabase } from '../db/database.ts';
import { type CertificateAdmin, CertificateRefusal, type CheckLine } from '../src/admin/certs.ts';
import type { CertificateManager, ManagerEvent } from '../src/certs/manager-types.ts';
import { answerQuestion } from '../src/certs/questions.ts';
import type { CertificatePublisher } from '../src/certs/types.ts';
import type { Route } from '../src/core/types.ts';
import type { Supervisor } from '../src/edge/supervisor.ts';
import { acmeIssuers } from './acme-issuers.ts';
import { openFiles } from './certificate-files.ts';
import type { CertificateValues } from './certificate-settings.ts';

/** After certificates have been planned for a change of the routes, how long further changes are gathered, ms. */
const gatherMs = 50;

/** How a server gets its certificates: the settings of `oo serve` by their keys. */
export type CertificateOptions = CertificateValues;

export interface CertificatesOfServer {
  readonly database: OpenCertificateDatabase;
  readonly supervisor: Supervisor;
  readonly options: CertificateOptions;
  readonly stateDir: string;
  /** The routes as they are now. */
  readonly routes: () => Iterable<Route>;
  readonly log: (line: string) => void;
  /** Told of each certificate that comes, goes or fails, and at the start of each that is there. */
  readonly onEvent?: (event: ManagerEvent) => void;
}

/** The certificates of a running server. */
export interface ServerCertificates {
  readonly admin: CertificateAdmin;
  /** To be called once the workers listen: a CA looks at them. */
  begin(): void;
  /** To be told after every change of the routes. */
  routesChanged(): void;
  /** Takes over what is stored: a backup was restored. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the certificate manager: what is stored is with the supervisor when this resolves; nothing is ordered before `begin`.
 * @throws CliError for settings that can't work, StoreFailure
 */
export async function startCertificates(server: CertificatesOfServer): Promise<ServerCertificates> {
  const { database, supervisor, options, log } = server;
  const { certificates: store, shared } = database;
  const { createCertificateManager } = await import('../src/certs/manager.ts');
  const { askUrl } = await import('../src/certs/on-demand.ts');
  const { createLocalIssuer } = await import('../src/certs/issuer-local.ts');
  const { createCertificateAdmin } = await import('./certificate-admin.ts');
  // A database of this server's alone: after a crash it takes its own leases up again.
  const holder = shared ? randomUUID() : 'this server';
  const local = createLocalIssuer({ store, holder, log });
  const issuers = await acmeIssuers(options, store);
  const files = await openFiles(options.syncCerts, server.stateDir, log);
  const publisher: CertificatePublisher = {
    certificates: (change) => supervisor.publishTls(change),
    challenges: ({ save, remove }) => supervisor.publishTls({ challenges: save, endedChallenges: remove }),
  };
  const manager = createCertificateManager({
    store,
    issuers,
    local,
    log,
    publisher,
    settings: {
      holder,
      shared,
      keyType: options.keyType,
      wildcards: options.acmeDnsHook !== undefined,
      onDemand: options.onDemandAsk ? { ask: askUrl(options.onDemandAsk), perHour: options.onDemandPerHour } : null,
    },
    onEvent(event) {
      server.onEvent?.(event);
      files.onEvent?.(event);
    },
    onTicketKeys: (keys) => void supervisor.publishTls({ ticketKeys: keys.map(({ key }) => key) }),
  });
  supervisor.onAsk = (question) => answerQuestion(manager, question);
  await manager.start([]);
  files.sync(manager.list().flatMap(({ certificate }) => certificate ?? []));
  const stopWatching = watch(server, () => manager.poll());
  let timer: NodeJS.Timeout | undefined;

  const plan = () => manager.routesChanged(server.routes());
  let changed = false;
  // Who asks for a name that was just saved is not told that nobody wants it.
  const upToDate = () => {
    if (!changed) return;
    changed = false;
    plan();
  };
  // The first of many changes is planned for at once: its visitors may come the next moment.
  const gather = () => {
    timer = undefined;
    if (!changed) return;
    timer = setTimeout(gather, gatherMs);
    upToDate();
  };
  const admin = createCertificateAdmin({
    manager,
    store,
    directory: issuers[0]?.directory ?? '',
    check: await checker(server, manager, publisher, issuers[0]?.directory ?? ''),
    rotateKey: (newKey) => database.rotateKey(newKey),
    async trustRoot() {
      const { chain, commonName, fingerprint, notAfter } = await local.root();
      return { cert: chain, commonName, fingerprint, notAfter: new Date(notAfter).toISOString() };
    },
  });
  return {
    admin: {
      ...admin,
      get(id) {
        upToDate();
        return admin.get(id);
      },
      waiting() {
        upToDate();
        return admin.waiting();
      },
    },
    begin: plan,
    routesChanged() {
      changed = true;
      timer ??= setTimeout(gather, 0);
    },
    async refresh() {
      local.forget();
      await manager.poll();
      plan();
    },
    async stop() {
      clearTimeout(timer);
      stopWatching();
      await manager.stop();
      for (const issuer of issuers) issuer.close();
    },
  };
}

/** What a server in test mode says: it serves no HTTPS, and opens its database without the key. */
export function noCertificates(): ServerCertificates {
  const refuse = async () => {
    const hint = 'Start it without --test-mode; oo cert … --offline works on the database while no server runs.';
    throw new CertificateRefusal(409, 'OO_TEST_MODE', 'This server runs in test mode: it has no certificates.', hint);
  };
  return {
    admin: {
      ...{ list: refuse, waiting: refuse, get: refuse, save: refuse, remove: refuse, renew: refuse },
      ...{ check: refuse, raw: refuse, rotateKey: refuse, trustRoot: refuse },
    },
    begin() {},
    routesChanged() {},
    async refresh() {},
    async stop() {},
  };
}

/** `oo cert check`: what a CA will look at. */
async function checker(
  { database, supervisor, options, routes }: CertificatesOfServer,
  manager: CertificateManager,
  publisher: CertificatePublisher,
  directory: string,
): Promise<(name: string) => Promise<readonly CheckLine[]>> {
  const { preflight } = await import('../src/certs/preflight.ts');
  const { createProbe } = await import('../src/certs/preflight-probe.ts');
  const { Challenges } = await import('../src/certs/manager-challenges.ts');
  const { systemClock: clock } = await import('../src/clock.ts');
  const { certificates: store, shared } = database;
  const { present, cleanup } = new Challenges({ store, publisher, clock, shared });
  const http01 = options.acmeChallenges.includes('http-01');
  const httpPort = () => supervisor.port;
  const probe = createProbe();
  return (name) =>
    preflight(name, { manager, routes, probe, present, cleanup, directory, http01, httpPort, now: clock.now });
}

/** Looks for what other servers have changed in a shared database. */
function watch({ database, log }: CertificatesOfServer, poll: () => Promise<void>): () => void {
  let known = -1;
  const onVersion = async (version: number) => {
    await poll();
    known = version;
  };
  const onError = (error: Error) => log(`certificates: ${error.message}`);
  return database.certificates.watch?.(() => known, onVersion, onError) ?? (() => {});
}
