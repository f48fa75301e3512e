import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { read } from './body.ts';
import {
  badName,
  type CertificateAdmin,
  type CertificateInfo,
  CertificateRefusal,
  certificateId,
  noCertificate,
  type RenewalStep,
  type SaveRequest,
} from './certs.ts';
import { follow } from './follow.ts';
import { wrongMethod } from './reply.ts';
import { listSchema } from './schema.ts';
import { asStoreFailure } from './store.ts';

// No lengths here: what is wrong with a field is told with its beginning, and these are secrets.
const seedSchema = v.strictObject({ certs: v.array(v.strictObject({ id: v.string(), cert: v.string() })) });
const saveSchema = v.strictObject({ cert: v.string(), key: v.optional(v.string()), chain: v.optional(v.string()) });
const rotateSchema = v.strictObject({ newKey: v.optional(v.string()) });

/**
 * Certificates over HTTP.
 *
 * The seed's calls: POST `/proxy-svc/certs` lists, PUT saves one's own (`cert`: chain and key as one PEM text).
 * Ours: GET `/v1/certs` (with `waiting`: names that have none yet); GET, PUT (`cert`, `key`, `chain`), DELETE `/v1/certs/NAME`; GET `…/check`; GET `…/raw?withKey=true`;
 * POST `…/renew`: 202 when it has begun, or with `?wait=true` a line of JSON for each step and one with the outcome.
 * POST `/v1/keys/rotate` (`newKey`); GET `/v1/trust/root`. No answer but raw's has a private key.
 */
export function addCertificateCalls(app: Hono, certificates: CertificateAdmin, onError?: (error: Error) => void): void {
  app.post('/proxy-svc/certs', async (c) => {
    const body = await read(c, listSchema, {});
    if (body instanceof Response) return body;
    const certs = await certificates.list();
    return c.json({ certs: body.ids?.length ? chosen(certs, body.ids) : certs });
  });
  app.put('/proxy-svc/certs', async (c) => {
    const body = await read(c, seedSchema);
    if (body instanceof Response) return body;
    await certificates.save(body.certs.map(({ id, cert }) => ({ id: proven(id), cert })));
    return c.json({});
  });

  app.get('/v1/certs', async (c) => {
    const certs = await certificates.list();
    const ids = c.req.queries('id') ?? [];
    if (ids.length > 0) return c.json({ certs: chosen(certs, ids) });
    return c.json({ certs, waiting: await certificates.waiting() });
  });
  app.get('/v1/certs/:name', async (c) => {
    const id = nameOf(c);
    const detail = await certificates.get(id);
    if (!detail) throw noCertificate(id);
    return c.json(detail);
  });
  app.put('/v1/certs/:name', async (c) => {
    const id = nameOf(c);
    const body = await read(c, saveSchema);
    if (body instanceof Response) return body;
    const [saved] = await certificates.save([{ id, ...body } satisfies SaveRequest]);
    return c.json(saved);
  });
  app.delete('/v1/certs/:name', async (c) => {
    const id = nameOf(c);
    const removed = await certificates.remove(id);
    if (!removed) throw noCertificate(id);
    return c.json({ removed: id, routes: removed.routes });
  });
  app.post('/v1/certs/:name/renew', async (c) => {
    const id = nameOf(c);
    if (c.req.query('wait') === 'true') {
      // `{step}` for each step, at last `{outcome}` or an error. It goes on if the caller leaves.
      return follow(
        c,
        (line) => certificates.renew(id, (step: RenewalStep) => line({ step })),
        (outcome) => ({ outcome }),
        (error) => asError(error, onError),
      );
    }
    const { done } = await certificates.renew(id, () => {});
    done.catch((error) => onError?.(error));
    return c.json({ id }, 202);
  });
  app.get('/v1/certs/:name/check', async (c) => c.json({ lines: await certificates.check(nameOf(c)) }));
  app.get('/v1/certs/:name/raw', async (c) => {
    const id = nameOf(c);
    const found = await certificates.raw(id, c.req.query('withKey') === 'true');
    if (!found) throw noCertificate(id);
    c.header('Cache-Control', 'no-store');
    return c.json(found);
  });
  app.post('/v1/keys/rotate', async (c) => {
    const body = await read(c, rotateSchema, {});
    if (body instanceof Response) return body;
    try {
      return c.json(await certificates.rotateKey(body.newKey));
    } catch (error) {
      // The new key is what is wrong, not the database.
      const failure = asStoreFailure(error);
      if (failure?.code !== 'OO_STORE_KEY') throw error;
      throw new CertificateRefusal(400, failure.code, failure.message, failure.hint, error);
    }
  });
  app.get('/v1/trust/root', async (c) => c.json(await certificates.trustRoot()));

  for (const [path, methods] of Object.entries({
    '/proxy-svc/certs': 'PUT, POST',
    '/v1/certs': 'GET, HEAD',
    '/v1/certs/:name': 'GET, HEAD, PUT, DELETE',
    '/v1/certs/:name/renew': 'POST',
    '/v1/certs/:name/check': 'GET, HEAD',
    '/v1/certs/:name/raw': 'GET, HEAD',
    '/v1/keys/rotate': 'POST',
    '/v1/trust/root': 'GET, HEAD',
  })) {
    app.all(path, (c) => wrongMethod(c, methods));
  }
}

function nameOf(c: Context): string {
  return proven(c.req.param('name') as string);
}

function proven(name: string): string {
  const id = certificateId(name);
  if (id === undefined) throw badName(name);
  return id;
}

function chosen(certs: readonly CertificateInfo[], ids: readonly string[]): readonly CertificateInfo[] {
  const wanted = new Set(ids.map((id) => certificateId(id)));
  return certs.filter(({ id }) => wanted.has(id));
}

function asError(error: Error, onError?: (error: Error) => void): object {
  const known = error instanceof CertificateRefusal ? error : asStoreFailure(error);
  if (known) return { error: known.message, code: known.code, hint: known.hint };
  onError?.(error);
  return { error: 'The attempt failed.', code: 'OO_INTERNAL', hint: "The server's log names the cause." };
}
