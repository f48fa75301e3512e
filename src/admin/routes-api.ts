import type { Context } from 'hono';
import * as v from 'valibot';
import { read } from './body.ts';
import { changeOptions, outcomeOf, tag, told } from './change.ts';
import type { ChangeOptions, Configuration, Conflict, Refused, Saved } from './configuration.ts';
import { short } from './fault.ts';
import { demandHandlers } from './handler-scope.ts';
import type { Api } from './operation.ts';
import { noRevision, noSuch, pageOf, revisionOf } from './page.ts';
import { type Recent, withImpact } from './recent.ts';
import { type ApiError, refuse } from './reply.ts';
import { listSchema, normalId, removeSchema, saveSchema } from './schema.ts';
import { dryRunQuery, mapping, oneChangeQuery } from './wire/common.ts';
import {
  goneWire,
  removedBySeedWire,
  removedWire,
  routesQuery,
  routesWire,
  savedRoutesWire,
  savedRouteWire,
  saveRoutesBody,
} from './wire/route.ts';
import { routeWire } from './wire/route-options.ts';

/**
 * Routes over HTTP.
 *
 * The seed's calls: PUT, POST (list), DELETE `/proxy-svc/routes`. The same under `/v1/routes`, with the revision and what was created, updated, removed:
 * GET (`?id=`, repeatable), PUT, DELETE.
 */
export function addRouteCalls({ on }: Api, configuration: Configuration, recent?: Recent): void {
  const label = 'routes';
  const change = { tag: label, scope: 'routes:write', query: dryRunQuery, conditional: true } as const;
  on(
    {
      ...{ ...change, id: 'saveRoutesBySeed', method: 'put', path: '/proxy-svc/routes', body: saveRoutesBody },
      summary: "Saves routes, all or none: the seed's call",
      answers: { 200: { description: 'They are in force in every worker.', schema: routesWire } },
    },
    async (c) => {
      const saved = await save(c);
      return saved instanceof Response ? saved : c.json({ routes: saved.result.routes, ...changesOf(saved) });
    },
  );
  on(
    {
      ...{ id: 'listRoutesBySeed', method: 'post', path: '/proxy-svc/routes', tag: label, scope: 'routes:read' },
      summary: "Lists routes: the seed's call",
      ...{ body: listSchema, bodyRequired: false },
      answers: { 200: { description: 'All, or those that were asked for.', schema: routesWire } },
    },
    async (c) => {
      const body = await read(c, listSchema, {});
      return body instanceof Response ? body : list(c, body.ids ?? []);
    },
  );
  on(
    {
      ...{ ...change, id: 'removeRoutesBySeed', method: 'delete', path: '/proxy-svc/routes', body: removeSchema },
      summary: "Removes routes: the seed's call",
      answers: { 200: { description: 'There are none by these ids now.', schema: removedBySeedWire } },
    },
    async (c) => {
      const removed = await remove(c);
      return removed instanceof Response ? removed : c.json(changesOf(removed));
    },
  );

  on(
    {
      ...{ id: 'listRoutes', method: 'get', path: '/v1/routes', tag: label, scope: 'routes:read', query: routesQuery },
      summary: 'Lists routes',
      description:
        'All of them; with `limit` page by page; with `id`, which may be repeated, those; with `at` as they were.',
      answers: { 200: { description: 'By id.', schema: routesWire }, 404: { description: 'Not kept any more.' } },
    },
    async (c) => {
      const ids = c.req.queries('id') ?? [];
      const at = revisionOf(c, 'at');
      if (at instanceof Response) return at;
      if (at === undefined && ids.length > 0) return list(c, ids);
      tag(c, configuration);
      const state = at === undefined ? undefined : await configuration.history.at(at);
      if (at !== undefined && state === undefined) return noRevision(c, at);
      const wanted = new Set(ids.map((id) => normalId(id)));
      const all = state?.routes.toSorted((a, b) => (a.id < b.id ? -1 : 1)) ?? configuration.list();
      const page = pageOf(c, ids.length > 0 ? all.filter(({ id }) => wanted.has(id)) : all, ({ id }) => id);
      return page instanceof Response ? page : c.json({ routes: page.items, ...(page.next && { next: page.next }) });
    },
  );
  on(
    {
      ...{ ...change, id: 'saveRoutes', method: 'put', path: '/v1/routes', body: saveRoutesBody },
      summary: 'Saves routes, all or none',
      description:
        'A route that is there is replaced; without `rollout` and `owner` it keeps those that it has. A new or changed `handler` needs the scope `handlers:write`, too.',
      answers: { 200: { description: 'They are in force in every worker.', schema: savedRoutesWire } },
    },
    async (c) => {
      const saved = await save(c);
      if (saved instanceof Response) return saved;
      const { routes: _, ...outcome } = saved.result;
      return c.json(await withImpact(recent, told(outcome, saved.options)));
    },
  );
  on(
    {
      ...{ ...change, id: 'removeRoutes', method: 'delete', path: '/v1/routes', body: removeSchema },
      summary: 'Removes routes',
      answers: { 200: { description: 'What was done.', schema: removedWire } },
    },
    async (c) => {
      const removed = await remove(c);
      if (removed instanceof Response) return removed;
      return c.json(await withImpact(recent, told(removed.result, removed.options)));
    },
  );

  const params = { id: "The route's id, escaped: `app.example.com%2Fapi`." };
  const one = { path: '/v1/routes/{id}', tag: label, params } as const;
  const missing = { 404: { description: 'There is no such route.' } };
  on(
    {
      ...{ ...one, id: 'getRoute', method: 'get', scope: 'routes:read', summary: 'A route' },
      answers: { 200: { description: 'As it is.', schema: routeWire }, ...missing },
    },
    (c) => {
      const route = configuration.get(idOf(c));
      if (route === undefined) return unknown(c);
      tag(c, configuration);
      return c.json(route);
    },
  );
  on(
    {
      ...{ ...one, id: 'saveRoute', method: 'put', scope: 'routes:write', conditional: true, query: oneChangeQuery },
      summary: 'Saves one route',
      description:
        'It is replaced; without `rollout` and `owner` it keeps those that it has. The id is that of the path.',
      body: v.strictObject({ ...routeWire.entries, id: v.optional(v.string()) }),
      answers: {
        200: { description: 'It is in force in every worker.', schema: savedRouteWire },
        201: { description: 'It is new.', schema: savedRouteWire },
      },
    },
    async (c) => {
      const body = await read(c, mapping);
      if (body instanceof Response) return body;
      const given = c.req.param('id') as string;
      if (body.id !== undefined && (typeof body.id !== 'string' || normalId(body.id) !== normalId(given)))
        return refuse(c, 400, otherId(given));
      const refused = demandHandlers(c, configuration, [{ ...body, id: given }]);
      if (refused) return refused;
      const options = changeOptions(c, c.req.query('reason'));
      if (options instanceof Response) return options;
      const sent = { code: 'OO_BAD_ROUTES', list: '', items: [body] };
      const saved = await configuration.save([{ ...body, id: given }], options);
      const alone: Saved | Refused | Conflict =
        'faults' in saved ? { faults: saved.faults.map(({ index: _, ...fault }) => fault) } : saved;
      const result = outcomeOf(c, configuration, alone, sent);
      if (result instanceof Response) return result;
      const outcome = result.created.length > 0 ? 'created' : result.updated.length > 0 ? 'updated' : 'unchanged';
      const { revision, routes, changes } = result;
      return c.json(
        told({ revision, route: routes[0], outcome, changes }, options),
        outcome === 'created' && !options.dryRun ? 201 : 200,
      );
    },
  );
  on(
    {
      ...{ ...one, id: 'removeRoute', method: 'delete', scope: 'routes:write', conditional: true },
      ...{ query: oneChangeQuery, summary: 'Removes one route' },
      answers: { 200: { description: 'It is gone.', schema: goneWire }, ...missing },
    },
    async (c) => {
      const options = changeOptions(c, c.req.query('reason'));
      if (options instanceof Response) return options;
      const given = c.req.param('id') as string;
      const sent = { code: 'OO_BAD_ROUTES', list: '', items: [] };
      const result = outcomeOf(c, configuration, await configuration.remove([given], options), sent);
      if (result instanceof Response) return result;
      const { revision, removed, changes } = result;
      return removed.length === 0 ? unknown(c) : c.json(told({ revision, removed: removed[0], changes }, options));
    },
  );

  function idOf(c: Context): string {
    return normalId(c.req.param('id') as string) ?? '';
  }

  function unknown(c: Context): Response {
    const ids = configuration.list().map(({ id }) => id);
    return noSuch(c, 'route', c.req.param('id') as string, ids, 'GET /v1/routes');
  }

  async function save(c: Context) {
    const body = await read(c, saveSchema);
    if (body instanceof Response) return body;
    const refused = demandHandlers(c, configuration, body.routes);
    if (refused) return refused;
    const options = changeOptions(c, body.reason);
    if (options instanceof Response) return options;
    const sent = { code: 'OO_BAD_ROUTES', list: 'routes', items: body.routes };
    const result = outcomeOf(c, configuration, await configuration.save(body.routes, options), sent);
    return result instanceof Response ? result : { result, options };
  }

  async function remove(c: Context) {
    const body = await read(c, removeSchema);
    if (body instanceof Response) return body;
    const options = changeOptions(c, body.reason);
    if (options instanceof Response) return options;
    const sent = { code: 'OO_BAD_ROUTES', list: 'ids', items: body.ids };
    const result = outcomeOf(c, configuration, await configuration.remove(body.ids, options), sent);
    return result instanceof Response ? result : { result, options };
  }

  function list(c: Context, ids: readonly string[]): Response {
    tag(c, configuration);
    if (ids.length === 0) return c.json({ routes: configuration.list() });
    const found = new Map(
      ids.map((id) => configuration.get(id)).flatMap((route) => (route ? [[route.id, route]] : [])),
    );
    return c.json({ routes: [...found.values()] });
  }
}

function otherId(id: string): ApiError {
  const error = `The body's id is not that of the path, ${short(id)}.`;
  return { error, code: 'OO_BAD_REQUEST', hint: 'Leave it out, or make them the same.' };
}

/** The seed's answers say nothing of it, but what was only tried must. */
function changesOf({ result, options }: { result: { changes: readonly object[] }; options: ChangeOptions }): object {
  return options.dryRun ? { changes: result.changes } : {};
}
