import type { Rollout, TargetSpec } from '../core/pool-types.ts';
import type { Route } from '../core/types.ts';
import { routeFields } from './schema.ts';

/** A route, or a service's definition, as far as this is concerned. */
interface Rolled {
  readonly target?: TargetSpec;
  readonly rollout?: Rollout;
}

/**
 * A route or a definition as it is to be stored where the one that is saved says nothing of the rollout: a file says where requests go, not whether its
 * route is paused just now.
 *
 * 1. A `rollout` of its own counts, an empty one for none at all.
 * 2. To the same target, all of it is kept: `oo route save` of the same file neither opens a paused route nor ends a canary.
 * 3. To another target, a pause or a stop is kept: whoever moves a route while it is stopped opens it when all is done. The canary was tried against the
 *    target before, and `previous` would lead back past it: both are gone.
 */
export function keepRollout<T extends object>(saved: T, present: T | undefined): T {
  const { rollout, ...rest } = saved as Rolled;
  if (rollout !== undefined) return Object.keys(rollout).length > 0 ? saved : (rest as T);
  const before = (present ?? {}) as Rolled;
  if (before.rollout === undefined) return saved;
  if (isSame(rest.target, before.target)) return { ...saved, rollout: before.rollout };
  const { gate } = before.rollout;
  return gate === undefined ? saved : { ...saved, rollout: { gate } };
}

/** Likewise for whose it is: who changes a thing does not take it away from its owner. */
export function keepOwner<T extends object>(saved: T, present: T | undefined): T {
  const owner = ownerOf(present);
  return owner === undefined || (saved as { owner?: unknown }).owner !== undefined ? saved : { ...saved, owner };
}

/** Its label. Definitions may have a field of this name that is something else. */
export function ownerOf(thing: object | undefined): string | undefined {
  const owner = (thing as { owner?: unknown } | undefined)?.owner;
  return typeof owner === 'string' ? owner : undefined;
}

/** Whether they say the same, field by field; the file of a handler says nothing, its source does. */
export function sameRoute(a: Route, b: Route | undefined): boolean {
  return b !== undefined && routeFields.every((field) => isSame(said(a, field), said(b, field)));
}

/** Where a handler's text was read from is for people: from another directory it is the same handler. */
function said(route: Route, field: keyof Route): unknown {
  const { handler } = route;
  if (field !== 'handler' || typeof handler !== 'object' || handler.source === undefined) return route[field];
  const { file: _, ...rest } = handler;
  return rest;
}

/** Whether two JSON values say the same; the order of a mapping's fields says nothing. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [ones, others] = [a, b] as [Record<string, unknown>, Record<string, unknown>];
  const fields = new Set([...Object.keys(ones), ...Object.keys(others)]);
  for (const field of fields) if (!isSame(ones[field], others[field])) return false;
  return true;
}
