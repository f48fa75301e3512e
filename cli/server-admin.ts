import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { OpenDatabase } from '../db/database.ts';
import { defaultRequestsPerMinute } from '../src/admin/api-limits.ts';
import { type AuditLog, createAuditLog } from '../src/admin/audit-log.ts';
import type { Backups } from '../src/admin/backup.ts';
import type { CertificateAdmin } from '../src/admin/certs.ts';
import type { Configuration } from '../src/admin/configuration.ts';
import { createDoctor } from '../src/admin/doctor.ts';
import type { EventRing } from '../src/admin/event-ring.ts';
import type { ProcessOptions } from '../src/admin/process-api.ts';
import { createRollouts } from '../src/admin/rollout.ts';
import { createLive, type ReadLive } from '../src/admin/status.ts';
import { createTokenDesk, type TokenDesk } from '../src/admin/token-desk.ts';
import { systemClock } from '../src/clock.ts';
import { routesOf } from '../src/core/table.ts';
import type { Supervisor } from '../src/edge/supervisor.ts';
import { createTrust } from '../src/edge/trust.ts';
import type { Services } from '../src/services/services.ts';
import { type AdminServers, startAdminServers } from './admin-servers.ts';
import { explainServer } from './explain-server.ts';
import type { ServerOptions } from './server.ts';
import { version } from './version.ts';

/** The parts of a server that its API is about. */
export interface ServerParts {
  readonly options: ServerOptions;
  readonly supervisor: Supervisor;
  readonly database: OpenDatabase;
  readonly configuration: Configuration;
  readonly services: Services;
  readonly events: EventRing;
  /** Left out: in test mode, for the routes alone. */
  readonly certificates?: CertificateAdmin;
  /** Takes over the certificates that are stored. Default: nothing is done. */
  readonly refreshCertificates?: () => Promise<void>;
}

/** Puts the API over a server's parts, and opens it. @throws the system's errors */
export async function startAdmin(parts: ServerParts): Promise<{ admin: AdminServers; audit: AuditLog }> {
  const { options, supervisor, database, configuration, services, events, certificates } = parts;
  const { log } = options;
  const startedAt = new Date().toISOString();
  const figures = () => supervisor.figures();
  const { registry } = services;
  const live = createLive({ configuration, registry, now: Date.now, figures, states: () => services.view() });
  const audit = createAuditLog({ store: database.audit, log, keep: () => configuration.settings().auditEntries });
  const tokens = createTokenDesk(database.tokens);
  const admin = await startAdminServers(options.stateDir, supervisor.settings.builtInSocket, {
    ...{ configuration, certificates, registry, live, audit, events },
    tokens,
    backups: backupsOf(parts, tokens),
    rollouts: createRollouts({ ...systemClock, configuration, log, registry, probe: services.probe, figures }),
    ...explainServer({ configuration, supervisor, live, registry, certificates }),
    process: processOf(parts, live),
    hosts: { machine: hostname(), selfUrl: options.self.url, more: options.apiHosts },
    isTrusted: createTrust(options.edge.trustedProxies),
    requestsPerMinute: () => configuration.settings().apiRequestsPerMinute ?? defaultRequestsPerMinute,
    version: version(),
    status: () => ({
      ...{ startedAt, database: database.where, http: supervisor.port, https: supervisor.httpsPort },
      workers: supervisor.pids(),
    }),
    onError: (error) => log(error.message),
  });
  return { admin, audit };
}

/** A restore is in force when it is answered: this server looks at once for what others would find by watching the database. */
function backupsOf(parts: ServerParts, tokens: TokenDesk): Backups {
  const { options, database, configuration, services, refreshCertificates } = parts;
  const { backup, restore } = database.backups(version(), options.stateDir);
  return {
    backup,
    async restore(file, by) {
      const report = await restore(file, by);
      if (by.dryRun === true) return report;
      tokens.forget();
      await configuration.refresh();
      await services.registry.poll();
      await refreshCertificates?.();
      options.log(`the backup of ${report.madeAt} was restored by ${by.actor}: revision ${report.revision}`);
      return report;
    },
  };
}

function processOf(parts: ServerParts, live: ReadLive): ProcessOptions {
  const { options, database, configuration } = parts;
  // In test mode there are none, and none is missed.
  const certificates = options.edge.https === null ? undefined : parts.certificates;
  return {
    settings: () => options.settings ?? [],
    examine: createDoctor({
      ...{ live, certificates, now: Date.now, databaseName: database.where, workers: options.edge.workers },
      hosts: () => hostsOf(configuration),
      database: async () => void (await configuration.history.list(1)),
      async disk() {
        const { bavail, blocks, bsize } = await statfs(options.stateDir);
        return { free: bavail * bsize, total: blocks * bsize };
      },
    }),
  };
}

/** Those that have a certificate of their own, each once. */
function hostsOf({ table }: Configuration): string[] {
  const hosts = new Set<string>();
  for (const { host } of routesOf(table)) if (!host.includes('*')) hosts.add(host);
  return [...hosts];
}
