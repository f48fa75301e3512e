import * as v from 'valibot';
import { about, atQuery, maybe, next, pageEntries, reason, revision, several, text, texts } from './common.ts';
import { changesWire } from './history.ts';
import { dryImpact } from './impact.ts';
import { routeWire } from './route-options.ts';

export const routesWire = v.object({
  routes: v.array(routeWire),
  next,
  changes: v.optional(changesWire),
});
export const saveRoutesBody = v.strictObject({ routes: v.array(routeWire), reason });
export const savedRoutesWire = v.object({
  revision,
  created: about(texts, 'Ids.'),
  updated: texts,
  unchanged: texts,
  changes: maybe(changesWire, 'With dryRun.'),
  impact: dryImpact,
});
export const removedWire = v.object({
  revision,
  removed: about(texts, 'Ids of what was removed.'),
  missing: about(texts, 'Ids that there are none of, as they were given.'),
  changes: maybe(changesWire, 'With dryRun.'),
  impact: dryImpact,
});
export const routesQuery = v.strictObject({ id: several, ...pageEntries, ...atQuery.entries });
export const savedRouteWire = v.object({
  revision,
  route: routeWire,
  outcome: v.picklist(['created', 'updated', 'unchanged']),
  changes: maybe(changesWire, 'With dryRun.'),
});
/** The seed's answer is empty. */
export const removedBySeedWire = v.strictObject({ changes: maybe(changesWire, 'With dryRun.') });
/** Of one thing that is gone. */
export const goneWire = v.object({ revision, removed: text, changes: maybe(changesWire, 'With dryRun.') });
