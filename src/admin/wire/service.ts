import * as v from 'valibot';
import { about, mapping, removed, several, text, texts } from './common.ts';
import { memberWire } from './registry.ts';

/** Replaced by the real one below. */
export const definitionWire = v.looseObject({ id: text });

export const definitionsWire = v.object({ definitions: v.array(definitionWire) });
export const definitionsBody = v.strictObject({ definitions: v.array(definitionWire) });
export const seedDefinitionBody = about(mapping, 'The definition itself, or it as the field `definition`.');
export const savedDefinitionsWire = v.object({ created: texts, updated: texts, unchanged: texts });
export const removedDefinitionsWire = removed;

/** A service: what is said of it, and what has registered. */
export const serviceWire = v.object({
  slug: text,
  definition: about(v.nullable(definitionWire), 'Null: nobody has said anything of it.'),
  members: about(v.array(memberWire), 'Its instances that have registered, or that its definition names.'),
});
export const servicesWire = v.object({ services: v.array(serviceWire) });
export const servicesQuery = v.strictObject({ slug: several });
