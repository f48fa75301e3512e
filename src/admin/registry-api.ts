import type { Context, Hono } from 'hono';
import type { Definition } from '../services/types.ts';
import { read, refusal } from './body.ts';
import { readDefinitions } from './definitions.ts';
import { addInstanceCalls, type InstancesApiOptions, inForce, refused } from './instances-api.ts';
import { keepRollout } from './keep-rollout.ts';
import { definitionSchema, definitionsSchema, idsSchema } from './registry-schema.ts';
import { refuse, wrongMethod } from './reply.ts';

/**
 * The registry over HTTP: see `addInstanceCalls`, and besides
 *
 * the seed's GET `/registry-svc/definitions`, PUT `/registry-svc/definition` (201), DELETE `/registry-svc/definition/ID` (204, even if there is none);
 * ours: GET, PUT (`definitions`) and DELETE (`ids`) `/v1/definitions`; GET `/v1/services`: each service with its instances and their health.
 */
export function addRegistryCalls(app: Hono, options: InstancesApiOptions): void {
  const { registry } = options;
  addInstanceCalls(app, options);

  for (const path of ['/registry-svc/definitions', '/v1/definitions'])
    app.get(path, (c) => c.json({ definitions: registry.definitions() }));

  app.put('/registry-svc/definition', async (c) => {
    const body = await read(c, definitionSchema);
    if (body instanceof Response) return body;
    const inner = body.id === undefined ? body.definition : undefined;
    const saved = await save(c, [inner ?? body]);
    return saved instanceof Response ? saved : c.json({}, 201);
  });
  app.put('/v1/definitions', async (c) => {
    const body = await read(c, definitionsSchema);
    if (body instanceof Response) return body;
    const saved = await save(c, body.definitions);
    return saved instanceof Response ? saved : c.json(saved);
  });
  app.delete('/registry-svc/definition/:id', async (c) => {
    if (registry.removeDefinition(c.req.param('id'))) await inForce(registry);
    return c.body(null, 204);
  });
  app.delete('/v1/definitions', async (c) => {
    const body = await read(c, idsSchema);
    if (body instanceof Response) return body;
    const ids = [...new Set(body.ids)];
    const removed = ids.filter((id) => registry.removeDefinition(id));
    if (removed.length > 0) await inForce(registry);
    return c.json({ removed, missing: ids.filter((id) => !removed.includes(id)) });
  });

  app.get('/v1/services', (c) => {
    const asked = c.req.query('slug');
    const defined = new Map(registry.definitions().map((definition) => [definition.id, definition]));
    const pools = asked ? [registry.pool(asked)].flatMap((pool) => pool ?? []) : registry.pools();
    const services = pools
      .map(({ slug, members }) => ({ slug, definition: defined.get(slug) ?? null, members: members.map(memberInfo) }))
      .sort((a, b) => (a.slug < b.slug ? -1 : 1));
    return c.json({ services });
  });

  for (const [path, methods] of Object.entries({
    '/registry-svc/instance': 'PUT',
    '/registry-svc/instance/:id': 'DELETE',
    '/registry-svc/instances': 'GET, HEAD',
    '/registry-svc/node/self': 'GET, HEAD',
    '/registry-svc/nodes': 'POST',
    '/registry-svc/definition': 'PUT',
    '/registry-svc/definition/:id': 'DELETE',
    '/registry-svc/definitions': 'GET, HEAD',
    '/v1/instances': 'GET, HEAD, PUT, DELETE',
    '/v1/nodes': 'GET, HEAD',
    '/v1/definitions': 'GET, HEAD, PUT, DELETE',
    '/v1/services': 'GET, HEAD',
  })) {
    app.all(path, (c) => wrongMethod(c, methods));
  }

  async function save(c: Context, list: readonly unknown[]): Promise<Response | Saved> {
    const read = readDefinitions(list);
    if ('faults' in read) return refuse(c, 400, refusal(read.faults, 'OO_BAD_DEFINITIONS', 'definitions'));
    // A rollout that another server has just begun would be undone.
    await registry.poll();
    const present = new Map(registry.definitions().map((definition) => [definition.id, definition]));
    const outcome: Saved = { created: [], updated: [], unchanged: [] };
    for (const given of read.definitions) {
      const before = present.get(given.id);
      const definition = keepRollout(given, before);
      const word = before === undefined ? 'created' : isSame(before, definition) ? 'unchanged' : 'updated';
      const result = word === 'unchanged' ? definition : registry.saveDefinition(definition);
      if (isRefusal(result)) return refused(c, result, { ...given, slug: given.id });
      outcome[word].push(given.id);
    }
    if (outcome.created.length + outcome.updated.length > 0) await inForce(registry);
    return outcome;
  }
}

/** Ids, by what was done. */
type Saved = Record<'created' | 'updated' | 'unchanged', string[]>;

/** A definition may have a field of any name: only a refusal has no id. */
function isRefusal(
  result: object,
): result is Extract<ReturnType<InstancesApiOptions['registry']['saveDefinition']>, { code: unknown }> {
  return !Object.hasOwn(result, 'id');
}

function isSame(a: Definition, b: Definition): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

interface Member {
  readonly statusSince: number;
  readonly createdAt: number;
}

function memberInfo<M extends Member>(member: M) {
  const rfc3339 = (ms: number) => new Date(ms).toISOString();
  return { ...member, statusSince: rfc3339(member.statusSince), createdAt: rfc3339(member.createdAt) };
}
