import type { Context } from 'hono';
import * as v from 'valibot';
import { read } from './body.ts';
import { changeOptions, outcomeOf, tag, told } from './change.ts';
import type { Conflict, Refused, SavedServices } from './configuration.ts';
import type { Api } from './operation.ts';
import { noSuch, pageOf } from './page.ts';
import { type Recent, withImpact } from './recent.ts';
import type { RegistryApiOptions } from './registry-api.ts';
import { refuse } from './reply.ts';
import { removeSchema } from './schema.ts';
import { dryRunQuery, mapping, oneChangeQuery, reason } from './wire/common.ts';
import { definitionWire } from './wire/definition.ts';
import { goneWire } from './wire/route.ts';
import {
  removedDefinitionsWire,
  savedDefinitionsWire,
  savedServiceWire,
  saveServicesBody,
  servicesQuery,
  servicesWire,
  serviceWire,
} from './wire/service.ts';

const saveSchema = v.strictObject({ services: v.array(v.unknown()), reason });

/**
 * Services under `/v1/services`: GET each with its instances and their health (`?slug=`, `limit`, `after`), PUT definitions (`services`), DELETE (`ids`); and each
 * by its slug.
 */
export function addServiceCalls({ on }: Api, options: RegistryApiOptions & { readonly recent?: Recent }): void {
  const { registry, configuration, recent } = options;
  const label = 'services';
  const change = { path: '/v1/services', tag: label, scope: 'services:write', conditional: true } as const;
  on(
    {
      ...{ id: 'listServices', method: 'get', path: '/v1/services', tag: label, scope: 'services:read' },
      summary: 'Lists services, each with its instances and their health',
      query: servicesQuery,
      answers: { 200: { description: 'By slug.', schema: servicesWire } },
    },
    (c) => {
      const asked = new Set(c.req.queries('slug') ?? []);
      const slugs = slugsOf().filter((slug) => asked.size === 0 || asked.has(slug));
      tag(c, configuration);
      const page = pageOf(c, slugs, (slug) => slug);
      if (page instanceof Response) return page;
      return c.json({ services: page.items.map(serviceOf), ...(page.next && { next: page.next }) });
    },
  );
  on(
    {
      ...{ ...change, id: 'saveServices', method: 'put', query: dryRunQuery, body: saveServicesBody },
      summary: 'Saves what is said of services, all or none',
      answers: { 200: { description: 'What was done, by id.', schema: savedDefinitionsWire } },
    },
    async (c) => {
      const body = await read(c, saveSchema);
      if (body instanceof Response) return body;
      const by = changeOptions(c, body.reason);
      if (by instanceof Response) return by;
      const sent = { code: 'OO_BAD_DEFINITIONS', list: 'services', items: body.services };
      const saved = outcomeOf(c, configuration, await configuration.saveServices(body.services, by), sent);
      if (saved instanceof Response) return saved;
      const { services: _, ...outcome } = saved;
      return c.json(await withImpact(recent, told(outcome, by)));
    },
  );
  on(
    {
      ...{ ...change, id: 'removeServices', method: 'delete', query: dryRunQuery, body: removeSchema },
      summary: 'Removes what is said of services',
      description: 'Their instances stay registered.',
      answers: { 200: { description: 'What was done.', schema: removedDefinitionsWire } },
    },
    async (c) => {
      const body = await read(c, removeSchema);
      if (body instanceof Response) return body;
      const by = changeOptions(c, body.reason);
      if (by instanceof Response) return by;
      const sent = { code: 'OO_BAD_DEFINITIONS', list: 'ids', items: body.ids };
      const removed = outcomeOf(c, configuration, await configuration.removeServices([...new Set(body.ids)], by), sent);
      return removed instanceof Response ? removed : c.json(await withImpact(recent, told(removed, by)));
    },
  );

  const one = { path: '/v1/services/{id}', tag: label, params: { id: "The service's slug." } } as const;
  const missing = { 404: { description: 'There is no such service.' } };
  on(
    {
      ...{ ...one, id: 'getService', method: 'get', scope: 'services:read', summary: 'A service, with its instances' },
      answers: { 200: { description: 'As it is.', schema: serviceWire }, ...missing },
    },
    (c) => {
      const id = idOf(c);
      if (configuration.service(id) === undefined && registry.pool(id) === undefined) return unknown(c);
      tag(c, configuration);
      return c.json(serviceOf(id));
    },
  );
  on(
    {
      ...{ ...one, id: 'saveService', method: 'put', scope: 'services:write', conditional: true },
      ...{ query: oneChangeQuery, body: v.looseObject({ ...definitionWire.entries, id: v.optional(v.string()) }) },
      summary: 'Saves what is said of one service',
      answers: {
        200: { description: 'It is in force.', schema: savedServiceWire },
        201: { description: 'It is new.', schema: savedServiceWire },
      },
    },
    async (c) => {
      const body = await read(c, mapping);
      if (body instanceof Response) return body;
      const id = idOf(c);
      if (body.id !== undefined && body.id !== id) {
        const hint = 'Leave it out, or make them the same.';
        return refuse(c, 400, { error: "The body's id is not that of the path.", code: 'OO_BAD_REQUEST', hint });
      }
      const by = changeOptions(c, c.req.query('reason'));
      if (by instanceof Response) return by;
      const saved = await configuration.saveServices([{ ...body, id }], by);
      const alone: SavedServices | Refused | Conflict =
        'faults' in saved ? { faults: saved.faults.map(({ index: _, ...fault }) => fault) } : saved;
      const sent = { code: 'OO_BAD_DEFINITIONS', list: '', items: [body] };
      const result = outcomeOf(c, configuration, alone, sent);
      if (result instanceof Response) return result;
      const outcome = result.created.length > 0 ? 'created' : result.updated.length > 0 ? 'updated' : 'unchanged';
      const { revision, services, changes } = result;
      const status = outcome === 'created' && !by.dryRun ? 201 : 200;
      return c.json(told({ revision, service: services[0], outcome, changes }, by), status);
    },
  );
  on(
    {
      ...{ ...one, id: 'removeService', method: 'delete', scope: 'services:write', conditional: true },
      ...{ query: oneChangeQuery, summary: 'Removes what is said of one service' },
      answers: { 200: { description: 'It is gone.', schema: goneWire }, ...missing },
    },
    async (c) => {
      const by = changeOptions(c, c.req.query('reason'));
      if (by instanceof Response) return by;
      const sent = { code: 'OO_BAD_DEFINITIONS', list: '', items: [] };
      const result = outcomeOf(c, configuration, await configuration.removeServices([idOf(c)], by), sent);
      if (result instanceof Response) return result;
      const { revision, removed, changes } = result;
      return removed.length === 0 ? unknown(c) : c.json(told({ revision, removed: removed[0], changes }, by));
    },
  );

  function idOf(c: Context): string {
    return c.req.param('id') as string;
  }

  function slugsOf(): string[] {
    const slugs = [...configuration.services().map(({ id }) => id), ...registry.pools().map(({ slug }) => slug)];
    return [...new Set(slugs)].sort();
  }

  function serviceOf(slug: string) {
    const members = registry.pool(slug)?.members.map(memberInfo) ?? [];
    return { slug, definition: configuration.service(slug) ?? null, members };
  }

  function unknown(c: Context): Response {
    return noSuch(c, 'service', idOf(c), slugsOf(), 'GET /v1/services');
  }
}

interface Member {
  readonly statusSince: number;
  readonly createdAt: number;
}

function memberInfo<M extends Member>(member: M) {
  const rfc3339 = (ms: number) => new Date(ms).toISOString();
  return { ...member, statusSince: rfc3339(member.statusSince), createdAt: rfc3339(member.createdAt) };
}
