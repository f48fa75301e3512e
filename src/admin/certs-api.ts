import type { Context } from 'hono';
import * as v from 'valibot';
import { note } from './audit.ts';
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
import { type Api, demand } from './operation.ts';
import { listSchema } from './schema.ts';
import { asStoreFailure } from './store.ts';
import {
  begunWire,
  certificateDetailWire,
  certificateQuery,
  certificatesWire,
  certificateWire,
  checkedWire,
  ndjson,
  rawQuery,
  rawWire,
  removedCertificateWire,
  renewQuery,
  rotatedWire,
  seedCertificatesWire,
  trustRootWire,
} from './wire/certificate.ts';
import { empty } from './wire/common.ts';

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
export function addCertificateCalls(
  { on }: Api,
  certificates: CertificateAdmin,
  onError?: (error: Error) => void,
): void {
  const tag = 'certificates';
  const params = { name: 'A host, `*.example.com` or an address, with `+rsa` for its RSA certificate.' };
  on(
    {
      ...{ id: 'listCertificatesBySeed', method: 'post', path: '/proxy-svc/certs', tag, scope: 'certs:read' },
      summary: "Lists certificates: the seed's call",
      ...{ body: listSchema, bodyRequired: false },
      answers: { 200: { description: 'The last updated first; never a private key.', schema: seedCertificatesWire } },
    },
    async (c) => {
      const body = await read(c, listSchema, {});
      if (body instanceof Response) return body;
      const certs = await certificates.list();
      return c.json({ certs: body.ids?.length ? chosen(certs, body.ids) : certs });
    },
  );
  on(
    {
      ...{ id: 'saveCertificatesBySeed', method: 'put', path: '/proxy-svc/certs', tag, scope: 'certs:write' },
      summary: "Brings certificates of one's own: the seed's call",
      body: seedSchema,
      answers: { 200: { description: 'They are stored and served.', schema: empty } },
    },
    async (c) => {
      const body = await read(c, seedSchema);
      if (body instanceof Response) return body;
      note(c, { ids: body.certs.map(({ id }) => id) });
      await certificates.save(body.certs.map(({ id, cert }) => ({ id: proven(id), cert })));
      return c.json({});
    },
  );

  on(
    {
      ...{
        id: 'listCertificates',
        method: 'get',
        path: '/v1/certs',
        tag,
        scope: 'certs:read',
        query: certificateQuery,
      },
      summary: 'Lists certificates, and names that wait for one',
      answers: { 200: { description: 'The last updated first; never a private key.', schema: certificatesWire } },
    },
    async (c) => {
      const certs = await certificates.list();
      const ids = c.req.queries('id') ?? [];
      if (ids.length > 0) return c.json({ certs: chosen(certs, ids) });
      return c.json({ certs, waiting: await certificates.waiting() });
    },
  );
  on(
    {
      ...{ id: 'getCertificate', method: 'get', path: '/v1/certs/{name}', tag, params, scope: 'certs:read' },
      summary: 'All that is known of the certificate of a name',
      answers: {
        200: { description: 'What is there, or why there is none yet.', schema: certificateDetailWire },
        404: { description: 'Nothing has or wants this name.' },
      },
    },
    async (c) => {
      const id = nameOf(c);
      const detail = await certificates.get(id);
      if (!detail) throw noCertificate(id);
      return c.json(detail);
    },
  );
  on(
    {
      ...{ id: 'saveCertificate', method: 'put', path: '/v1/certs/{name}', tag, params, scope: 'certs:write' },
      summary: "Brings a certificate of one's own",
      body: saveSchema,
      answers: { 200: { description: 'It is stored and served.', schema: certificateWire } },
    },
    async (c) => {
      const id = nameOf(c);
      const body = await read(c, saveSchema);
      if (body instanceof Response) return body;
      const [saved] = await certificates.save([{ id, ...body } satisfies SaveRequest]);
      return c.json(saved);
    },
  );
  on(
    {
      ...{ id: 'removeCertificate', method: 'delete', path: '/v1/certs/{name}', tag, params, scope: 'certs:write' },
      summary: 'Removes a certificate',
      description: 'Where routes still ask for one, another is had.',
      answers: {
        200: { description: 'It is gone.', schema: removedCertificateWire },
        404: { description: 'There is none.' },
      },
    },
    async (c) => {
      const id = nameOf(c);
      const removed = await certificates.remove(id);
      if (!removed) throw noCertificate(id);
      return c.json({ removed: id, routes: removed.routes });
    },
  );
  on(
    {
      ...{ id: 'renewCertificate', method: 'post', path: '/v1/certs/{name}/renew', tag, params, scope: 'certs:write' },
      summary: 'Gets a certificate now, whatever was planned',
      query: renewQuery,
      answers: {
        200: {
          description:
            'With `wait=true`: a line of JSON for each step, `{"step": …}`, then one with the `outcome`, or `error`, `code` and `hint`.',
          type: ndjson,
        },
        202: { description: 'It has begun.', schema: begunWire },
      },
    },
    async (c) => {
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
    },
  );
  on(
    {
      ...{ id: 'checkCertificate', method: 'get', path: '/v1/certs/{name}/check', tag, params, scope: 'certs:read' },
      summary: 'Looks, without the CA, at what a CA would look at',
      answers: { 200: { description: 'A line for each thing that was looked at.', schema: checkedWire } },
    },
    async (c) => c.json({ lines: await certificates.check(nameOf(c)) }),
  );
  on(
    {
      ...{ id: 'getRawCertificate', method: 'get', path: '/v1/certs/{name}/raw', tag, params, scope: 'certs:read' },
      summary: 'The certificate as PEM',
      description: 'With `withKey=true` its private key as well: that needs the scope `certs:write`.',
      query: rawQuery,
      answers: { 200: { description: 'PEM.', schema: rawWire }, 404: { description: 'There is none.' } },
    },
    async (c) => {
      const withKey = c.req.query('withKey') === 'true';
      const refused = withKey ? demand(c, 'certs:write') : undefined;
      if (refused) return refused;
      const id = nameOf(c);
      const found = await certificates.raw(id, withKey);
      if (!found) throw noCertificate(id);
      c.header('Cache-Control', 'no-store');
      return c.json(found);
    },
  );
  on(
    {
      ...{ id: 'rotateKey', method: 'post', path: '/v1/keys/rotate', tag, scope: 'admin' },
      summary: 'Encrypts all private keys anew, under another key',
      ...{ body: rotateSchema, bodyRequired: false },
      answers: { 200: { description: 'It is done.', schema: rotatedWire } },
    },
    async (c) => {
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
    },
  );
  on(
    {
      ...{ id: 'getTrustRoot', method: 'get', path: '/v1/trust/root', tag, scope: 'certs:read' },
      summary: "The local CA's root certificate",
      description: 'It is made if there is none yet.',
      answers: { 200: { description: 'The root.', schema: trustRootWire } },
    },
    async (c) => c.json(await certificates.trustRoot()),
  );
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
