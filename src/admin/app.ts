import { Hono } from 'hono';
import type { Registry } from '../services/registry-types.ts';
import { addAuditCalls } from './audit-api.ts';
import type { AuditLog } from './audit-log.ts';
import type { Backups } from './backup.ts';
import { addBackupCalls } from './backup-api.ts';
import type { CertificateAdmin } from './certs.ts';
import { addCertificateCalls } from './certs-api.ts';
import { tag } from './change.ts';
import { addConfigurationCalls, addRollbackCall } from './config-api.ts';
import type { Configuration } from './configuration.ts';
import { addDocumentCalls } from './docs-api.ts';
import { answerError } from './error.ts';
import type { EventRing } from './event-ring.ts';
import { addEventCalls } from './events-api.ts';
import type { Explain } from './explain.ts';
import { addExplainCalls } from './explain-api.ts';
import { addHistoryCalls } from './history-api.ts';
import { createApi } from './operation.ts';
import { addProcessCalls, type ProcessOptions } from './process-api.ts';
import type { Recent } from './recent.ts';
import { addRegistryCalls } from './registry-api.ts';
import { notFound } from './reply.ts';
import { addRolloutCalls } from './rollout-api.ts';
import type { Rollouts } from './rollout-types.ts';
import { addRouteCalls } from './routes-api.ts';
import { normalId } from './schema.ts';
import type { ReadLive } from './status.ts';
import { addLiveCalls } from './status-api.ts';
import type { TokenDesk } from './token-desk.ts';
import { addTokenCalls } from './tokens-api.ts';
import { addWhoamiCall } from './whoami-api.ts';
import { statusWire } from './wire/status.ts';

export interface AdminOptions {
  readonly configuration: Configuration;
  /** Left out: the calls for certificates answer 404. */
  readonly certificates?: CertificateAdmin;
  /** Left out: the calls for services answer 404. */
  readonly registry?: Registry;
  /** Left out: the calls for tokens answer 404, and the service port lets nobody in. */
  readonly tokens?: TokenDesk;
  /** Left out: the calls for deploys answer 404. */
  readonly rollouts?: Rollouts;
  /** Left out: the call for live figures answers 404. */
  readonly live?: ReadLive;
  /** Left out: the call that explains requests answers 404. */
  readonly explain?: Explain;
  /** Left out: dry runs say nothing of requests that were seen. */
  readonly recent?: Recent;
  /** Left out: nothing is recorded, and the call for it answers 404. */
  readonly audit?: AuditLog;
  /** Left out: the call for events answers 404. */
  readonly events?: EventRing;
  /** Left out: the calls for backups answer 404. */
  readonly backups?: Backups;
  /** Left out: the calls for its settings and its health answer 404. */
  readonly process?: ProcessOptions;
  readonly version: string;
  /** What else `GET /v1/status` shows: listeners, workers, database. */
  readonly status?: () => object;
  /** Told of faults of the program; the client gets a 500. */
  readonly onError?: (error: Error) => void;
}

/**
 * The admin API, for who has a `Caller` in the request's env (`callerOf`), and without one for whoever can open its socket: that belongs on a
 * unix socket in a directory of mode 0700 and nowhere else.
 *
 * Each noun has its file, with its calls as `Operation`s: `addRouteCalls`, `addCertificateCalls`, `addRegistryCalls`, `addTokenCalls`,
 * `addRolloutCalls`, `addLiveCalls`. GET `/openapi.json` tells all of them. Changes take `If-Match` with the revision in quotes, the `ETag` of
 * every answer about the configuration: 412 if it is no longer that one.
 */
export function createAdminApp(options: AdminOptions): Hono {
  const { configuration, certificates, registry, tokens, rollouts, live, version, status, onError } = options;
  const app = new Hono();
  const api = createApi(app, options.audit?.record);

  addRouteCalls(api, configuration, options.recent);
  const whole = addConfigurationCalls(api, configuration, { certificates, recent: options.recent });
  addHistoryCalls(api, configuration);
  api.on(
    {
      ...{ id: 'getStatus', method: 'get', path: '/v1/status', tag: 'status', scope: 'status:read' },
      summary: 'What this server is, and how it runs',
      answers: { 200: { description: 'Its version, its revision, where it listens.', schema: statusWire } },
    },
    (c) => {
      const { revision, size } = configuration.table;
      tag(c, configuration);
      return c.json({ version, pid: process.pid, revision, routes: size, ...status?.() });
    },
  );
  if (certificates) addCertificateCalls(api, certificates, onError);
  if (registry) addRegistryCalls(api, { registry, configuration, recent: options.recent });
  if (tokens) addTokenCalls(api, tokens);
  if (rollouts) {
    const { rollbackTo } = whole;
    addRolloutCalls(api, rollouts, { onError, rollbackTo, isRoute: (name) => isRoute(configuration, name) });
  } else addRollbackCall(api, whole);
  if (live) addLiveCalls(api, live);
  if (options.explain) addExplainCalls(api, options.explain);

  if (options.process) addProcessCalls(api, options.process);
  addWhoamiCall(api);
  if (options.backups) addBackupCalls(api, options.backups);
  if (options.audit) addAuditCalls(api, options.audit);
  if (options.events) addEventCalls(api, { ring: options.events });
  addDocumentCalls(api, version);
  api.finish();
  app.notFound(notFound);
  app.onError((error, c) =>
    answerError(c, error, `Traffic goes on with revision ${configuration.table.revision}.`, onError),
  );
  return app;
}

/** As deploys read a name: one with a dot, `*`, `/` or `:`, and the id of a route that is there, is a route's. */
function isRoute(configuration: Configuration, name: string): boolean {
  return /[.*/:]/.test(name) || configuration.get(normalId(name) ?? '') !== undefined;
}
