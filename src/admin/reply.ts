import type { Context } from 'hono';
import type { Fault } from './schema.ts';

/** How every refusal of the API looks: the seed's `error`, and for programs `code`, for people `hint`. */
export interface ApiError {
  readonly error: string;
  readonly code: string;
  readonly hint: string;
  readonly faults?: readonly Fault[];
}

type Status = 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 429 | 500 | 503;

export function refuse(c: Context, status: Status, body: ApiError): Response {
  return c.json(body, status);
}

/** @param methods those that the path has, between commas */
export function wrongMethod(c: Context, methods: string): Response {
  c.header('Allow', methods);
  const error = `${c.req.method} is not for ${c.req.path}.`;
  return refuse(c, 405, { error, code: 'OO_METHOD_REFUSED', hint: `Use one of ${methods}.` });
}

export function notFound(c: Context): Response {
  return refuse(c, 404, {
    error: `There is no ${c.req.method} ${c.req.path}.`,
    code: 'OO_NOT_FOUND',
    hint: 'GET /v1/status, /v1/routes, /v1/certs, /v1/services, and the /proxy-svc and /registry-svc calls are here.',
  });
}
