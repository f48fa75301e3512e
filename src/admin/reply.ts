import type { Context } from 'hono';
import type { Fault } from './fault.ts';
import { kindOf } from './problems.ts';

/** A fault with its place in the body that was sent: a JSON pointer. */
export interface PlacedFault extends Fault {
  readonly pointer?: string;
}

/** What every refusal of the API says: the seed's `error`, and for programs `code`, for people `hint`. */
export interface ApiError {
  readonly error: string;
  readonly code: string;
  readonly hint: string;
  readonly faults?: readonly PlacedFault[];
}

/** As it is sent: a problem of RFC 9457 as well. */
export interface Problem extends ApiError {
  /** The page of this server that tells of its kind. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** The same as `error`. */
  readonly detail: string;
}

type Status = 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 415 | 421 | 429 | 500 | 503;

/** Answers with application/problem+json. */
export function refuse(c: Context, status: Status, body: ApiError): Response {
  return c.body(JSON.stringify(problemOf(status, body)), status, { 'content-type': 'application/problem+json' });
}

export function problemOf(status: number, { error, code, ...rest }: ApiError): Problem {
  const type = `/docs/errors#${code}`;
  return { type, title: kindOf(code, status).title, status, detail: error, error, code, ...rest };
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
    hint: 'GET /openapi.json lists all calls, and /docs shows them: /v1/routes, /v1/services, /v1/status …',
  });
}
