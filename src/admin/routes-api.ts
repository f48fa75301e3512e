import type { Context } from 'hono';
import { read } from './body.ts';
import { changeOptions, outcomeOf, tag, told } from './change.ts';
import type { ChangeOptions, Configuration } from './configuration.ts';
import type { Api } from './operation.ts';
import { type Recent, withImpact } from './recent.ts';
import { listSchema, removeSchema, saveSchema } from './schema.ts';
import { dryRunQuery, empty } from './wire/common.ts';
import { removedWire, routesQuery, routesWire, savedRoutesWire, saveRoutesBody } from './wire/route.ts';

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
      answers: { 200: { description: 'There are none by these ids now.', schema: empty } },
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
      answers: { 200: { description: 'By id.', schema: routesWire } },
    },
    (c) => list(c, c.req.queries('id') ?? []),
  );
  on(
    {
      ...{ ...change, id: 'saveRoutes', method: 'put', path: '/v1/routes', body: saveRoutesBody },
      summary: 'Saves routes, all or none',
      description: 'A route that is there is replaced; without `rollout` and `owner` it keeps those that it has.',
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

  async function save(c: Context) {
    const body = await read(c, saveSchema);
    if (body instanceof Response) return body;
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

/** The seed's answers say nothing of it, but what was only tried must. */
function changesOf({ result, options }: { result: { changes: readonly object[] }; options: ChangeOptions }): object {
  return options.dryRun ? { changes: result.changes } : {};
}
