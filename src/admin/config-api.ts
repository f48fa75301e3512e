import type { Context } from 'hono';
import * as v from 'valibot';
import { read } from './body.ts';
import type { CertificateAdmin } from './certs.ts';
import { applyRefused, changeOptions, conflict, noteChanges, tag } from './change.ts';
import type { Configuration, Conflict } from './configuration.ts';
import { demandChangedHandlers, demandHandlers } from './handler-scope.ts';
import { type Api, demand } from './operation.ts';
import { ownCertificates } from './own-certificates.ts';
import { noRevision, revisionOf } from './page.ts';
import { type Recent, withImpact } from './recent.ts';
import type { Applied, ApplyRefused } from './resources.ts';
import type { RollbackTo } from './rollout-api.ts';
import { atQuery, dryRunQuery, oneChangeQuery, reason } from './wire/common.ts';
import { appliedWire, applyWire, rollbackToText, stateWire } from './wire/history.ts';
import { rollbackToWire } from './wire/rollout.ts';
import { settingsWire } from './wire/settings.ts';

const list = v.optional(v.array(v.unknown()));
const certificate = v.strictObject({ id: v.optional(v.string()), cert: v.string(), key: v.string() });
// What routes, services and settings must be is the configuration's to say.
const applySchema = v.strictObject({
  ...{ routes: list, services: list, settings: v.optional(v.unknown()) },
  certificates: v.optional(v.array(certificate)),
  ...{ owner: v.optional(v.string()), prune: v.optional(v.boolean()), reason },
});

/** What each part of an apply needs. */
const needs = {
  routes: 'routes:write',
  services: 'services:write',
  settings: 'admin',
  certificates: 'certs:write',
} as const;

/** Of a rollback that other changes come before, each time. */
const mostTries = 10;

type Result = Applied | ApplyRefused | Conflict;

export interface ConfigurationCalls {
  /** POST `/v1/rollback` with a `revision`. */
  rollbackTo(c: Context, body: RollbackTo): Promise<Response>;
}

/**
 * The configuration as a whole: POST `/v1/apply`, GET `/v1/export`, GET and PUT `/v1/settings`.
 * @returns what belongs to a call of others, too
 */
export function addConfigurationCalls(
  { on }: Api,
  configuration: Configuration,
  { certificates, recent }: { readonly certificates?: CertificateAdmin; readonly recent?: Recent },
): ConfigurationCalls {
  const label = 'configuration';
  on(
    {
      ...{ id: 'apply', method: 'post', path: '/v1/apply', tag: label, scope: 'any', conditional: true },
      summary: 'Makes everything as it is wanted, in one revision, or nothing',
      description:
        'Routes need the scope `routes:write`, new or changed handlers `handlers:write`, services `services:write`, certificates `certs:write`, settings `admin`. What is left out stays as it is, unless `prune` takes it away.',
      ...{ query: dryRunQuery, body: applyWire },
      answers: { 200: { description: 'What was done, or with dryRun would be.', schema: appliedWire } },
    },
    async (c) => {
      const body = await read(c, applySchema);
      if (body instanceof Response) return body;
      const prunes = body.prune === true;
      for (const [part, scope] of Object.entries(needs) as [keyof typeof needs, 'admin'][]) {
        const isMeant = body[part] !== undefined || (prunes && (part === 'routes' || part === 'services'));
        const refused = isMeant ? demand(c, scope) : undefined;
        if (refused) return refused;
      }
      const noHandlers = demandHandlers(c, configuration, body.routes);
      if (noHandlers) return noHandlers;
      const { reason, ...request } = body;
      const by = changeOptions(c, reason);
      if (by instanceof Response) return by;
      const own = certificates && ownCertificates(certificates);
      return answer(c, await configuration.apply(request, { ...by, certificates: own }), body);
    },
  );
  on(
    {
      ...{ id: 'exportConfiguration', method: 'get', path: '/v1/export', tag: label, scope: 'routes:read' },
      summary: 'All routes, services and settings',
      description: 'It needs the scope `services:read`, too. What it answers, `POST /v1/apply` takes.',
      query: atQuery,
      answers: { 200: { description: 'As they are, or were.', schema: stateWire }, 404: { description: 'Not kept.' } },
    },
    async (c) => {
      const refused = demand(c, 'services:read');
      if (refused) return refused;
      const at = revisionOf(c, 'at');
      if (at instanceof Response) return at;
      tag(c, configuration);
      const { revision } = configuration.table;
      if (at === undefined || at === revision) {
        const [routes, services] = [configuration.list(), configuration.services()];
        return c.json({ revision, routes, services, settings: configuration.settings() });
      }
      const state = await configuration.history.at(at);
      return state === undefined ? noRevision(c, at) : c.json(state);
    },
  );
  on(
    {
      ...{ id: 'getSettings', method: 'get', path: '/v1/settings', tag: label, scope: 'status:read' },
      summary: 'What is set for all servers of this database',
      answers: { 200: { description: 'What is left out has its default.', schema: settingsWire } },
    },
    (c) => {
      tag(c, configuration);
      return c.json(configuration.settings());
    },
  );
  on(
    {
      ...{ id: 'saveSettings', method: 'put', path: '/v1/settings', tag: label, scope: 'admin', conditional: true },
      summary: 'Sets what is set for all servers of this database',
      description: 'All of them: a setting that is left out gets its default.',
      ...{ query: oneChangeQuery, body: settingsWire },
      answers: { 200: { description: 'They are in force.', schema: appliedWire } },
    },
    async (c) => {
      const settings = await read(c, v.record(v.string(), v.unknown()));
      if (settings instanceof Response) return settings;
      const by = changeOptions(c, c.req.query('reason'));
      if (by instanceof Response) return by;
      const result = await configuration.apply({ settings }, by);
      if (!('faults' in result)) return answer(c, result, {});
      const faults = result.faults.map(({ kind: _, ...fault }) => ({ ...fault, kind: 'request' as const }));
      return applyRefused(c, { faults }, settings);
    },
  );

  async function rollbackTo(c: Context, { revision, reason }: RollbackTo): Promise<Response> {
    const refused = demand(c, 'routes:write') ?? demand(c, 'services:write');
    if (refused) return refused;
    const by = changeOptions(c, reason);
    if (by instanceof Response) return by;
    for (let tries = 1; ; tries++) {
      // Settings are an admin's: what it would do is asked first.
      const planned = await configuration.rollback(revision, { ...by, dryRun: true });
      if (planned === undefined) return noRevision(c, revision);
      if (by.dryRun || !('changes' in planned)) return answer(c, planned, {});
      if (planned.changes.some(({ kind }) => kind === 'settings')) {
        const refused = demand(c, 'admin');
        if (refused) return refused;
      }
      const noHandlers = demandChangedHandlers(c, planned.changes);
      if (noHandlers) return noHandlers;
      // Only that is done which was asked: another change in between may be one of settings.
      const result = await configuration.rollback(revision, { ...by, ifMatch: planned.revision });
      if (result === undefined) return noRevision(c, revision);
      const isLate = 'conflict' in result && by.ifMatch === undefined;
      if (!isLate || tries === mostTries) return answer(c, result, {});
    }
  }

  async function answer(c: Context, result: Result, sent: Readonly<Record<string, unknown>>): Promise<Response> {
    if ('faults' in result) return applyRefused(c, result, sent);
    tag(c, configuration);
    if ('conflict' in result) return conflict(c, result);
    noteChanges(c, result);
    return c.json(c.req.query('dryRun') === 'true' ? await withImpact(recent, result) : result);
  }

  return { rollbackTo };
}

/** Where there are no deploys that have it, too. */
export function addRollbackCall({ on }: Api, { rollbackTo }: ConfigurationCalls): void {
  on(
    {
      ...{ id: 'rollback', method: 'post', path: '/v1/rollback', tag: 'configuration', scope: 'any' },
      ...{ conditional: true, query: dryRunQuery, body: rollbackToWire },
      summary: 'Makes the whole configuration as it was at a revision',
      description: `With \`revision\`: ${rollbackToText}`,
      answers: { 200: { description: 'What was done.', schema: appliedWire }, 404: { description: 'Not kept.' } },
    },
    async (c) => {
      const body = await read(c, rollbackToWire);
      return body instanceof Response ? body : rollbackTo(c, body);
    },
  );
}
