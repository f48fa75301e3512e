import type { Context } from 'hono';
import { nearest } from '../core/nearest.ts';
import { short } from './fault.ts';
import { refuse } from './reply.ts';

export const mostPerPage = 1_000;

/** The page's length: undefined for all; or the 400. */
export function limitOf(c: Context): number | undefined | Response {
  const text = c.req.query('limit');
  if (text === undefined) return undefined;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= mostPerPage) return limit;
  return refuse(c, 400, {
    error: `limit is '${short(text)}'; expected 1 to ${mostPerPage}.`,
    code: 'OO_BAD_REQUEST',
    hint: 'Ask for the rest with after, the next of each answer.',
  });
}

/** A part of a list by `limit` and `after`, and what the next one starts behind. @param list sorted by its ids */
export function pageOf<T>(
  c: Context,
  list: readonly T[],
  idOf: (item: T) => string,
): { readonly items: readonly T[]; readonly next?: string } | Response {
  const limit = limitOf(c);
  if (limit instanceof Response) return limit;
  const after = c.req.query('after');
  const begin = after === undefined ? 0 : list.findIndex((item) => idOf(item) > after);
  const rest = begin < 0 ? [] : begin === 0 ? list : list.slice(begin);
  if (limit === undefined || rest.length <= limit) return { items: rest };
  const items = rest.slice(0, limit);
  return { items, next: idOf(items[limit - 1]) };
}

/** The 404 for an id that nothing has. @param ids those that there are, for the hint */
export function noSuch(c: Context, kind: string, id: string, ids: Iterable<string>, list: string): Response {
  const near = nearest(id, ids);
  return refuse(c, 404, {
    error: `There is no ${kind} ${short(id)}.`,
    code: 'OO_NOT_FOUND',
    hint: near === undefined ? `${list} lists those that there are.` : `Did you mean ${short(near)}?`,
  });
}

/** A revision as a query says it, `5` or `@5`. Undefined: it says none; or the 400. */
export function revisionOf(c: Context, name: string): number | undefined | Response {
  const text = c.req.query(name);
  if (text === undefined) return undefined;
  const number = /^@?(\d{1,15})$/.exec(text)?.[1];
  if (number !== undefined) return Number(number);
  return refuse(c, 400, {
    error: `${name} is '${short(text)}'; expected a revision such as 5.`,
    code: 'OO_BAD_REQUEST',
    hint: 'GET /v1/history lists them.',
  });
}

export function noRevision(c: Context, revision: number): Response {
  return refuse(c, 404, {
    error: `Revision ${revision} is not kept, or yet to come.`,
    code: 'OO_NO_REVISION',
    hint: 'GET /v1/history lists those that there are; the setting historyRevisions says how many are kept.',
  });
}
