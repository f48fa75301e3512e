import type { Context } from 'hono';
import { read } from './body.ts';
import { changeOptions, outcomeOf, tag, told } from './change.ts';
import type { Configuration } from './configuration.ts';
import { addInstanceCalls, type InstancesApiOptions } from './instances-api.ts';
import type { Api } from './operation.ts';
import type { Recent } from './recent.ts';
import { definitionSchema, definitionsSchema, idsSchema } from './registry-schema.ts';
import { addServiceCalls } from './services-api.ts';
import { empty, idsBody } from './wire/common.ts';
import {
  definitionsBody,
  definitionsWire,
  removedDefinitionsWire,
  savedDefinitionsWire,
  seedDefinitionBody,
} from './wire/service.ts';

export interface RegistryApiOptions extends InstancesApiOptions {
  /** Has the definitions. */
  readonly configuration: Configuration;
  readonly recent?: Recent;
}

/**
 * The registry over HTTP: see `addInstanceCalls`, and besides
 *
 * the seed's GET `/registry-svc/definitions`, PUT `/registry-svc/definition` (201), DELETE `/registry-svc/definition/ID` (204, even if there is none);
 * ours: GET, PUT (`definitions`) and DELETE (`ids`) `/v1/definitions`; `addServiceCalls`.
 */
export function addRegistryCalls(api: Api, options: RegistryApiOptions): void {
  const { configuration } = options;
  const { on } = api;
  const services = 'services';
  addInstanceCalls(api, options);
  addServiceCalls(api, options);

  for (const [id, path, seed] of [
    ['listDefinitionsBySeed', '/registry-svc/definitions', ": the seed's call"],
    ['listDefinitions', '/v1/definitions', ''],
  ] as const)
    on(
      {
        ...{
          id,
          method: 'get',
          path,
          tag: services,
          scope: 'services:read',
          summary: `Lists the definitions of services${seed}`,
        },
        answers: { 200: { description: 'All of them, by id.', schema: definitionsWire } },
      },
      (c) => {
        tag(c, configuration);
        return c.json({ definitions: configuration.services() });
      },
    );

  on(
    {
      ...{
        id: 'saveDefinitionBySeed',
        method: 'put',
        path: '/registry-svc/definition',
        tag: services,
        scope: 'services:write',
      },
      summary: "Saves what is said of a service: the seed's call",
      body: seedDefinitionBody,
      answers: { 201: { description: 'It is saved.', schema: empty } },
    },
    async (c) => {
      const body = await read(c, definitionSchema);
      if (body instanceof Response) return body;
      const inner = body.id === undefined ? body.definition : undefined;
      const saved = await save(c, [inner ?? body]);
      return saved instanceof Response ? saved : c.json({}, 201);
    },
  );
  on(
    {
      ...{ id: 'saveDefinitions', method: 'put', path: '/v1/definitions', tag: services, scope: 'services:write' },
      summary: 'Saves what is said of services',
      body: definitionsBody,
      answers: { 200: { description: 'What was done, by id.', schema: savedDefinitionsWire } },
    },
    async (c) => {
      const body = await read(c, definitionsSchema);
      if (body instanceof Response) return body;
      const saved = await save(c, body.definitions);
      return saved instanceof Response ? saved : c.json(saved);
    },
  );
  on(
    {
      id: 'removeDefinitionBySeed',
      ...{ method: 'delete', path: '/registry-svc/definition/{id}', tag: services, scope: 'services:write' },
      summary: "Removes what is said of a service: the seed's call",
      params: { id: "The service's slug." },
      answers: { 204: { description: 'There is none by this id now.' } },
    },
    async (c) => {
      const removed = await remove(c, [c.req.param('id') as string]);
      return removed instanceof Response ? removed : c.body(null, 204);
    },
  );
  on(
    {
      ...{ id: 'removeDefinitions', method: 'delete', path: '/v1/definitions', tag: services, scope: 'services:write' },
      summary: 'Removes what is said of services',
      body: idsBody,
      answers: { 200: { description: 'What was done.', schema: removedDefinitionsWire } },
    },
    async (c) => {
      const body = await read(c, idsSchema);
      if (body instanceof Response) return body;
      const removed = await remove(c, [...new Set(body.ids)]);
      return removed instanceof Response ? removed : c.json(removed);
    },
  );

  async function save(c: Context, list: readonly unknown[]) {
    const by = changeOptions(c, undefined);
    if (by instanceof Response) return by;
    const result = await configuration.saveServices(list, by);
    const saved = outcomeOf(c, configuration, result, { code: 'OO_BAD_DEFINITIONS', list: 'definitions', items: list });
    if (saved instanceof Response) return saved;
    const { services: _, ...outcome } = saved;
    return told(outcome, by);
  }

  async function remove(c: Context, ids: readonly string[]) {
    const by = changeOptions(c, undefined);
    if (by instanceof Response) return by;
    const result = await configuration.removeServices(ids, by);
    const removed = outcomeOf(c, configuration, result, { code: 'OO_BAD_REQUEST', list: 'ids', items: ids });
    return removed instanceof Response ? removed : told(removed, by);
  }
}
