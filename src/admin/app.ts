import type { Context } from 'hono';
import { Hono } from 'hono';
import type { Registry } from '../services/registry-types.ts';
import { actorOf } from './actor.ts';
import { read, refusal } from './body.ts';
import type { CertificateAdmin } from './certs.ts';
import { addCertificateCalls } from './certs-api.ts';
import type { ChangeOptions, Configuration, Conflict, Refused } from './configuration.ts';
import { answerError } from './error.ts';
import { addRegistryCalls } from './registry-api.ts';
import { notFound, refuse, wrongMethod } from './reply.ts';
import { addRolloutCalls } from './rollout-api.ts';
import type { Rollouts } from './rollout-types.ts';
import { listSchema, removeSchema, saveSchema } from './schema.ts';
import type { ReadLive } from './status.ts';
import { addLiveCalls } from './status-api.ts';
import type { TokenDesk } from './token-desk.ts';
import { addTokenCalls } from './tokens-api.ts';

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
  readonly version: string;
  /** What else `GET /v1/status` shows: listeners, workers, database. */
  readonly status?: () => object;
  /** Told of faults of the program; the client gets a 500. */
  readonly onError?: (error: Error) => void;
}

/**
 * The admin API. It asks for no token: whoever can open its socket may do everything, so it belongs on a unix socket
 * in a directory of mode 0700 and nowhere else.
 *
 * The seed's calls: PUT, POST (list), DELETE `/proxy-svc/routes`. The same under `/v1/routes`, with the revision and
 * what was created, updated, removed: GET (`?id=`, repeatable), PUT, DELETE. `GET /v1/status`.
 * Certificates: see `addCertificateCalls`; services and their instances: `addRegistryCalls`; tokens: `addTokenCalls`;
 * deploys: `addRolloutCalls`; figures: `addLiveCalls`.
 * Changes take `If-Match` with the revision in quotes, the `ETag` of every answer: 412 if it is no longer that one.
 */
export function createAdminApp(options: AdminOptions): Hono {
  const { configuration, certificates, registry, tokens, rollouts, live, version, status, onError } = options;
  const app = new Hono();

  const tag = (c: Context) => c.header('ETag', `"${configuration.table.revision}"`);

  app.put('/proxy-svc/routes', async (c) => {
    const result = await save(c);
    return result instanceof Response ? result : c.json({ routes: result.routes });
  });
  app.post('/proxy-svc/routes', async (c) => {
    const body = await read(c, listSchema, {});
    if (body instanceof Response) return body;
    return list(c, body.ids ?? []);
  });
  app.delete('/proxy-svc/routes', async (c) => {
    const result = await remove(c);
    return result instanceof Response ? result : c.json({});
  });

  app.get('/v1/routes', (c) => list(c, c.req.queries('id') ?? []));
  app.put('/v1/routes', async (c) => {
    const result = await save(c);
    if (result instanceof Response) return result;
    const { routes: _, changes: __, ...outcome } = result;
    return c.json(outcome);
  });
  app.delete('/v1/routes', async (c) => {
    const result = await remove(c);
    if (result instanceof Response) return result;
    const { changes: _, ...outcome } = result;
    return c.json(outcome);
  });
  app.get('/v1/status', (c) => {
    const { revision, size } = configuration.table;
    tag(c);
    return c.json({ version, pid: process.pid, revision, routes: size, ...status?.() });
  });
  if (certificates) addCertificateCalls(app, certificates, onError);
  if (registry) addRegistryCalls(app, { registry, slugOf: () => undefined });
  if (tokens) addTokenCalls(app, tokens);
  if (rollouts) addRolloutCalls(app, rollouts, onError);
  if (live) addLiveCalls(app, live);

  for (const [path, methods] of Object.entries({
    '/proxy-svc/routes': 'PUT, POST, DELETE',
    '/v1/routes': 'GET, HEAD, PUT, DELETE',
    '/v1/status': 'GET, HEAD',
  })) {
    app.all(path, (c) => wrongMethod(c, methods));
  }
  app.notFound(notFound);
  app.onError((error, c) =>
    answerError(c, error, `Traffic goes on with revision ${configuration.table.revision}.`, onError),
  );

  async function save(c: Context) {
    const body = await read(c, saveSchema);
    if (body instanceof Response) return body;
    const options = optionsOf(c, body.reason);
    if (options instanceof Response) return options;
    return answer(c, await configuration.save(body.routes, options));
  }

  async function remove(c: Context) {
    const body = await read(c, removeSchema);
    if (body instanceof Response) return body;
    const options = optionsOf(c, body.reason);
    if (options instanceof Response) return options;
    return answer(c, await configuration.remove(body.ids, options));
  }

  function list(c: Context, ids: readonly string[]): Response {
    tag(c);
    if (ids.length === 0) return c.json({ routes: configuration.list() });
    const found = new Map(
      ids.map((id) => configuration.get(id)).flatMap((route) => (route ? [[route.id, route]] : [])),
    );
    return c.json({ routes: [...found.values()] });
  }

  function answer<T extends object>(c: Context, result: T | Refused | Conflict): T | Response {
    if ('faults' in result) return refuse(c, 400, refusal(result.faults, 'OO_BAD_ROUTES'));
    tag(c);
    if (!('conflict' in result)) return result;
    return refuse(c, 412, {
      error: `The revision is ${result.conflict}, not the one of If-Match.`,
      code: 'OO_CONFLICT',
      hint: 'Read the routes again, then repeat the change with the new ETag.',
    });
  }

  return app;
}

function optionsOf(c: Context, reason: string | undefined): ChangeOptions | Response {
  const actor = actorOf(c);
  const match = c.req.header('if-match');
  if (match === undefined || match.trim() === '*') return { actor, reason };
  const revision = /^\s*"(\d{1,15})"\s*$/.exec(match)?.[1];
  if (revision !== undefined) return { actor, reason, ifMatch: Number(revision) };
  return refuse(c, 400, {
    error: 'If-Match is not a revision; expected its ETag, such as "12".',
    code: 'OO_BAD_REQUEST',
    hint: 'Send the ETag of an answer of GET /v1/routes, quotes included.',
  });
}
