import type { Context } from 'hono';
import { callerOf } from './access.ts';
import { note } from './audit.ts';
import { refusal } from './body.ts';
import type { ChangeOptions, Configuration, Conflict, Refused } from './configuration.ts';
import { short } from './fault.ts';
import { pointerOf } from './pointer.ts';
import { refuse } from './reply.ts';
import type { Applied, ApplyFault, ApplyRefused, ResourceChange } from './resources.ts';

/** Every answer about the configuration has its revision. */
export function tag(c: Context, configuration: Pick<Configuration, 'table'>): void {
  c.header('ETag', `"${configuration.table.revision}"`);
}

/** By whom a change is, why, and under which condition; or the 400 for an `If-Match` or a `dryRun` that is none. */
export function changeOptions(c: Context, reason: string | undefined): ChangeOptions | Response {
  const { actor, from } = callerOf(c);
  const dry = c.req.query('dryRun') ?? 'false';
  if (dry !== 'true' && dry !== 'false')
    return bad(c, `dryRun is '${short(dry)}'; expected true or false`, 'Send ?dryRun=true, or leave it out.');
  const by = { actor, from, reason, ...(dry === 'true' && { dryRun: true }) };
  const match = c.req.header('if-match');
  if (match === undefined || match.trim() === '*') return by;
  const revision = /^\s*"(\d{1,15})"\s*$/.exec(match)?.[1];
  if (revision !== undefined) return { ...by, ifMatch: Number(revision) };
  const hint = 'Send the ETag of an answer of GET /v1/routes, quotes included.';
  return bad(c, 'If-Match is not a revision; expected its ETag, such as "12".', hint);
}

/** Where faults are counted: the body's list, and what it had. */
export interface Sent {
  readonly code: string;
  /** '' where the body itself is the thing. */
  readonly list: string;
  readonly items: readonly unknown[];
}

/** What a change came to; a Response where it was refused. */
export function outcomeOf<T extends object>(
  c: Context,
  configuration: Pick<Configuration, 'table'>,
  result: T | Refused | Conflict,
  { code, list, items }: Sent,
): T | Response {
  if ('faults' in result) return refuse(c, 400, refusal(result.faults, code, list, items));
  tag(c, configuration);
  if ('conflict' in result) return conflict(c, result);
  noteChanges(c, result);
  return result;
}

/** What the audit log says of a change. */
export function noteChanges(c: Context, { changes = [], revision, certificates = [] }: Partial<Applied>): void {
  const ids = [...changes.map(({ id }) => id), ...certificates];
  note(c, { ids, ...(changes.length > 0 && { revision }) });
}

export function conflict(c: Context, { conflict }: Conflict): Response {
  return refuse(c, 412, {
    error: `The revision is ${conflict}, not the one of If-Match.`,
    code: 'OO_CONFLICT',
    hint: 'Read it again, then repeat the change with the new ETag.',
  });
}

const lists = { route: 'routes', service: 'services', settings: 'settings', certificate: 'certificates', request: '' };

/** The 400 for what an apply has that can't be. @param sent its body */
export function applyRefused(c: Context, { faults }: ApplyRefused, sent: Readonly<Record<string, unknown>>): Response {
  const placed = faults.map((fault) => ({ pointer: placeOf(fault, sent), ...fault }));
  return refuse(c, 400, refusal(placed, 'OO_BAD_APPLY', lists[placed[0].kind]));
}

function placeOf(fault: ApplyFault, sent: Readonly<Record<string, unknown>>): string {
  const list = lists[fault.kind];
  const things = list === '' ? sent : sent[list];
  const item = Array.isArray(things) ? things[fault.index ?? -1] : things;
  return pointerOf(fault, list === '' ? '' : `/${list}`, item);
}

/** `changes` are told where nothing was done: else they are in the history. */
export function told<T extends { readonly changes: readonly ResourceChange[] }>(
  { changes, ...rest }: T,
  { dryRun }: ChangeOptions,
): Omit<T, 'changes'> & { readonly changes?: readonly ResourceChange[] } {
  return dryRun ? { ...rest, changes } : rest;
}

function bad(c: Context, error: string, hint: string): Response {
  return refuse(c, 400, { error, code: 'OO_BAD_REQUEST', hint });
}
