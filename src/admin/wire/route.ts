import * as v from 'valibot';
import { about, maybe, reason, revision, several, text, texts } from './common.ts';
import { changesWire } from './history.ts';
import { dryImpact } from './impact.ts';

export const routeWire = v.looseObject({ id: text });

export const routesWire = v.object({
  routes: v.array(routeWire),
  next: maybe(text, 'There are more: send it as `after`.'),
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
export const routesQuery = v.strictObject({ id: several });
