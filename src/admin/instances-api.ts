import type { Context } from 'hono';
import type { Registry } from '../services/registry-types.ts';
import type { InstanceFilter, Refusal, Registration } from '../services/types.ts';
import { callerOf } from './access.ts';
import { note } from './audit.ts';
import { read, smallBodyBytes } from './body.ts';
import type { Api } from './operation.ts';
import { emptySchema, idsSchema, ownRegistrationSchema, registrationSchema } from './registry-schema.ts';
import { instanceInfo, nodeInfo } from './registry-view.ts';
import { refuse } from './reply.ts';
import { empty, idsBody, mapping, removed } from './wire/common.ts';
import {
  instancesQuery,
  instancesWire,
  nodeSelfWire,
  nodesWire,
  ownNodesWire,
  ownRegistrationWire,
  registeredWire,
  registrationWire,
  slugQuery,
} from './wire/registry.ts';

export interface InstancesApiOptions {
  readonly registry: Registry;
}

/** A change is in force, and stored, when it is answered; a database that hangs holds nobody up for longer, ms. */
const patienceMs = 2_000;

/**
 * What a service does with the registry: its instances, and which there are of others and on which machines.
 *
 * The seed's calls: PUT `/registry-svc/instance` (201, `{}`), GET `/registry-svc/instances` (`?slug=`, host, ip, deploymentId, path),
 * DELETE `/registry-svc/instance/ID` (204, even if there is none), GET `/registry-svc/node/self`, POST `/registry-svc/nodes`.
 * Ours: PUT `/v1/instances` (201 with `instance` and `isNew`), GET, DELETE (`ids` → `removed`, `missing`); GET `/v1/nodes`.
 * Registering again is the heartbeat.
 */
export function addInstanceCalls({ on }: Api, { registry }: InstancesApiOptions): void {
  const tag = 'instances';
  on(
    {
      ...{ id: 'registerInstanceBySeed', method: 'put', path: '/registry-svc/instance', tag, scope: 'instance:write' },
      summary: "Registers an instance, or is its heartbeat: the seed's call",
      ...{ query: slugQuery, body: registrationWire },
      answers: { 201: { description: 'It is registered.', schema: empty } },
    },
    async (c) => {
      const body = await read(c, registrationSchema, undefined, smallBodyBytes);
      if (body instanceof Response) return body;
      const outcome = await register(c, body, undefined);
      return outcome instanceof Response ? outcome : c.json({}, 201);
    },
  );
  on(
    {
      ...{ id: 'registerInstance', method: 'put', path: '/v1/instances', tag, scope: 'instance:write' },
      summary: 'Registers an instance, or is its heartbeat',
      description: 'It lives for `ttlSeconds`; registering again is the heartbeat.',
      ...{ query: slugQuery, body: ownRegistrationWire },
      answers: { 201: { description: 'It is registered.', schema: registeredWire } },
    },
    async (c) => {
      const body = await read(c, ownRegistrationSchema, undefined, smallBodyBytes);
      if (body instanceof Response) return body;
      const { slug, ...request } = body;
      const outcome = await register(c, request, slug);
      if (outcome instanceof Response) return outcome;
      return c.json({ instance: instanceInfo(outcome.instance), isNew: outcome.isNew }, 201);
    },
  );
  for (const [id, path] of [
    ['listInstancesBySeed', '/registry-svc/instances'],
    ['listInstances', '/v1/instances'],
  ] as const)
    on(
      {
        ...{ id, method: 'get', path, tag, scope: 'instances:read', query: instancesQuery },
        summary: `Lists instances${path.startsWith('/v1') ? '' : ": the seed's call"}`,
        answers: {
          200: { description: 'Those that fit all that is asked for, by slug, then id.', schema: instancesWire },
        },
      },
      (c) => c.json({ instances: registry.list(filterOf(c)).map(instanceInfo) }),
    );

  on(
    {
      id: 'removeInstanceBySeed',
      ...{ method: 'delete', path: '/registry-svc/instance/{id}', tag, scope: 'instance:write' },
      summary: "Takes an instance out: the seed's call",
      params: { id: "The instance's id." },
      answers: { 204: { description: 'There is none by this id now.' } },
    },
    async (c) => {
      const outcome = registry.deregister(c.req.param('id') as string, slugOf(c));
      if (typeof outcome === 'object') return notYours(c, outcome);
      if (outcome) await inForce(registry);
      return c.body(null, 204);
    },
  );
  on(
    {
      ...{ id: 'removeInstances', method: 'delete', path: '/v1/instances', tag, scope: 'instance:write' },
      summary: 'Takes instances out',
      body: idsBody,
      answers: { 200: { description: 'What was done.', schema: removed } },
    },
    async (c) => {
      const body = await read(c, idsSchema);
      if (body instanceof Response) return body;
      note(c, { ids: body.ids });
      const slug = slugOf(c);
      const ids = [...new Set(body.ids)];
      // All or none: half of a list helps nobody.
      for (const id of ids) {
        const owner = registry.get(id)?.slug;
        if (slug !== undefined && owner !== undefined && owner !== slug)
          return notYours(c, { fault: `${id} is an instance of another service` });
      }
      const removed = ids.filter((id) => registry.deregister(id, slug) === true);
      if (removed.length > 0) await inForce(registry);
      return c.json({ removed, missing: ids.filter((id) => !removed.includes(id)) });
    },
  );

  on(
    {
      ...{ id: 'getSelfNode', method: 'get', path: '/registry-svc/node/self', tag, scope: 'instances:read' },
      summary: "This machine: the seed's call",
      answers: { 200: { description: 'This machine.', schema: nodeSelfWire } },
    },
    (c) => c.json({ node: nodeInfo(registry.self()) }),
  );
  on(
    {
      ...{ id: 'listNodesBySeed', method: 'post', path: '/registry-svc/nodes', tag, scope: 'instances:read' },
      summary: "Lists the machines that run oo: the seed's call",
      ...{ body: mapping, bodyRequired: false },
      answers: { 200: { description: 'All of them.', schema: nodesWire } },
    },
    async (c) => {
      const body = await read(c, emptySchema, {}, smallBodyBytes);
      return body instanceof Response ? body : c.json({ nodes: registry.nodes().map(nodeInfo) });
    },
  );
  on(
    {
      ...{ id: 'listNodes', method: 'get', path: '/v1/nodes', tag, scope: 'instances:read' },
      summary: 'Lists the machines that run oo on this database',
      answers: { 200: { description: 'All of them.', schema: ownNodesWire } },
    },
    (c) => c.json({ nodes: registry.nodes().map(nodeInfo), self: registry.self().id }),
  );

  async function register(c: Context, request: Registration, named: string | undefined) {
    const slug = slugFor(c, named);
    if (slug instanceof Response) return slug;
    if (!request.url && !request.host && !request.ip) return noAddress(c);
    const outcome = registry.register(slug, request);
    if ('fault' in outcome) return refused(c, outcome, { ...request, slug });
    // A heartbeat each few seconds would push all else out of the audit log.
    note(c, outcome.isNew ? { ids: [outcome.instance.id] } : { passing: true });
    if (outcome.isNew) await inForce(registry);
    return outcome;
  }

  /** @param named the body's */
  function slugFor(c: Context, named: string | undefined): string | Response {
    const own = slugOf(c);
    const asked = [named, c.req.query('slug')].find((slug) => slug !== undefined && slug !== '');
    if (own === undefined) return asked ?? noSlug(c);
    if (asked === undefined || asked === own) return own;
    return refuse(c, 403, {
      error: `This token registers instances of ${own}, not of ${show(asked)}.`,
      code: 'OO_FORBIDDEN',
      hint: 'Leave the slug out: it is the token that says it.',
    });
  }
}

/** The service whose instances the request may touch; undefined: all, and the request names the slug. */
function slugOf(c: Context): string | undefined {
  return callerOf(c).slug;
}

function noSlug(c: Context): Response {
  return refuse(c, 400, {
    error: 'Nothing says which service this is an instance of.',
    code: 'OO_BAD_REQUEST',
    hint: "Add ?slug=user-svc, or use that service's token.",
  });
}

function noAddress(c: Context): Response {
  const message = 'url is missing; expected an address such as http://10.0.0.2:3000';
  const hint = 'Give a url, or host or ip with the rest.';
  return refuse(c, 400, {
    error: message,
    code: 'OO_BAD_REQUEST',
    hint,
    faults: [{ pointer: '/url', field: 'url', message }],
  });
}

function filterOf(c: Context): InstanceFilter {
  const { slug, host, ip, deploymentId, path } = c.req.query();
  return { slug, host, ip, deploymentId, path };
}

/** Resolves when the workers have all that has changed and the database too, or when that takes long. */
export async function inForce(registry: Registry): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  await Promise.race([registry.settled(), late]);
  clearTimeout(timer);
}

const statuses = { invalid: 400, taken: 409, full: 429, unknown: 404 } as const;
const codes = {
  invalid: 'OO_BAD_REQUEST',
  taken: 'OO_TAKEN',
  full: 'OO_REGISTRY_FULL',
  unknown: 'OO_NOT_FOUND',
} as const;

/** The registry's refusal as an answer. @param given the request's fields, to quote the one that is wrong */
export function refused(c: Context, { code, field, fault, hint }: Refusal, given: object): Response {
  const value: unknown = (given as Record<string, unknown>)[field];
  const quoted = typeof value === 'string' || typeof value === 'number' ? ` ${show(value)}` : '';
  // Some of its sentences have their subject already.
  const begins = code !== 'invalid' || field === '' || fault.startsWith("'");
  const message = begins ? fault : `${field}${quoted} ${fault}`;
  if (code === 'full') c.header('Retry-After', '30');
  const faults = field === '' ? undefined : [{ pointer: `/${field}`, field, message }];
  return refuse(c, statuses[code], { error: `${message}.`, code: codes[code], hint, ...(faults && { faults }) });
}

function notYours(c: Context, { fault }: Pick<Refusal, 'fault'>): Response {
  const hint = "Use that service's token, or an admin's.";
  return refuse(c, 403, { error: `${fault}.`, code: 'OO_FORBIDDEN', hint });
}

function show(value: string | number): string {
  const text = String(value).replace(/\p{C}/gu, '?');
  return `'${text.length > 100 ? `${text.slice(0, 100)}…` : text}'`;
}
