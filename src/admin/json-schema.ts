import { toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';

/** JSON Schema, draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * Schemas as JSON Schema. What is named is referred to.
 * @param named by name
 * @param refOf where a named one is, such as `#/$defs/Route`
 */
export function jsonSchemas(
  schemas: Readonly<Record<string, v.GenericSchema>>,
  named: Readonly<Record<string, v.GenericSchema>>,
  refOf: (name: string) => string,
): { readonly schemas: Readonly<Record<string, JsonSchema>>; readonly named: Readonly<Record<string, JsonSchema>> } {
  // One call for all: each would convert all that is named.
  const whole = toJsonSchema(v.object(schemas), {
    definitions: { ...named },
    overrideRef: ({ referenceId }) => refOf(referenceId),
    target: 'draft-2020-12',
    typeMode: 'input',
    errorMode: 'ignore',
  });
  return {
    schemas: whole.properties as Record<string, JsonSchema>,
    named: whole.$defs as unknown as Record<string, JsonSchema>,
  };
}
