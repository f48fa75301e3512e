import * as v from 'valibot';
import { about, mapping, maybe, next, pageEntries, reason, revision, several, text, texts } from './common.ts';
import { definitionWire } from './definition.ts';
import { changesWire } from './history.ts';
import { memberWire } from './registry.ts';

export const definitionsWire = v.object({ definitions: v.array(definitionWire) });
export const definitionsBody = v.strictObject({ definitions: v.array(definitionWire) });
export const seedDefinitionBody = about(mapping, 'The definition itself, or it as the field `definition`.');
export const saveServicesBody = v.strictObject({ services: v.array(definitionWire), reason });
export const savedDefinitionsWire = v.object({
  revision,
  created: texts,
  updated: texts,
  unchanged: texts,
  changes: maybe(changesWire, 'With dryRun.'),
});
export const removedDefinitionsWire = v.object({
  revision,
  removed: texts,
  missing: texts,
  changes: maybe(changesWire, 'With dryRun.'),
});
export const savedServiceWire = v.object({
  revision,
  service: definitionWire,
  outcome: v.picklist(['created', 'updated', 'unchanged']),
  changes: maybe(changesWire, 'With dryRun.'),
});

/** A service: what is said of it, and what has registered. */
export const serviceWire = v.object({
  slug: text,
  definition: about(v.nullable(definitionWire), 'Null: nobody has said anything of it.'),
  members: about(v.array(memberWire), 'Its instances that have registered, or that its definition names.'),
});
export const servicesWire = v.object({ services: v.array(serviceWire), next });
export const servicesQuery = v.strictObject({ slug: several, ...pageEntries });
