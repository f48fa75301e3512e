import { type JsonSchema, jsonSchemas } from '../src/admin/json-schema.ts';
import { components } from '../src/admin/wire/components.ts';
import { definitionWire } from '../src/admin/wire/definition.ts';
import { routeWire } from '../src/admin/wire/route-options.ts';
import { settingsWire } from '../src/admin/wire/settings.ts';

const dialect = 'https://json-schema.org/draft/2020-12/schema';
const refOf = (name: string) => `#/$defs/${name}`;

/** JSON Schema of what a document of a file may be: for `oo route save`, or for `oo apply`. */
export function fileSchema(of: 'route' | 'apply'): JsonSchema {
  const { schemas, named } = jsonSchemas(
    { FileRoute: routeWire, FileService: definitionWire, FileSettings: settingsWire },
    components,
    refOf,
  );
  const $defs = { ...named, ...schemas };
  const route = { $ref: refOf('FileRoute') };
  const routes = { type: 'array', items: route };
  if (of === 'route')
    return whole('A route of oo, or a list of them', cases([{ type: 'array' }, routes], route), $defs);
  const list = (name: string, description: string) => ({
    description,
    anyOf: [
      { type: 'array', items: { $ref: refOf(name) } },
      // By id: the mapping's key says it.
      { type: 'object', additionalProperties: withoutId($defs[name] as JsonSchema, named) },
    ],
  });
  const path = { type: 'string', minLength: 1 };
  const config = {
    type: 'object',
    additionalProperties: false,
    properties: {
      routes: list('FileRoute', 'Routes: a list, or a mapping by id.'),
      services: list('FileService', 'Definitions of services: a list, or a mapping by id.'),
      settings: { $ref: refOf('FileSettings') },
      certificates: {
        description: "Certificates of one's own, by their files: paths go from this one.",
        type: 'array',
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['cert', 'key'],
          properties: {
            id: { type: 'string', description: 'Default: the first name of the certificate.' },
            cert: { ...path, description: 'PEM, the leaf first.' },
            key: { ...path, description: 'PEM.' },
          },
        },
      },
      owner: { type: 'string', description: 'The label of what this makes; oo apply --prune goes by it.' },
    },
  };
  // Not anyOf: an editor then tells of the faults of the form that is meant. Only a route has an id.
  const isRoute = { type: 'object', required: ['id'] };
  const shape = cases([isRoute, route], [{ type: 'array' }, routes], { anyOf: [config, { type: 'null' }] });
  return whole('What oo apply takes', shape, $defs);
}

/** If the first holds, it must be the second; and so on, and else the last. */
function cases(...list: [...(readonly [JsonSchema, JsonSchema])[], JsonSchema]): JsonSchema {
  const [first, ...rest] = list;
  if (!Array.isArray(first)) return first as JsonSchema;
  // biome-ignore lint/suspicious/noThenProperty: it is JSON Schema's word
  return { if: first[0], then: first[1], else: cases(...(rest as [JsonSchema])) };
}

function whole(title: string, schema: JsonSchema, $defs: JsonSchema): JsonSchema {
  return { $schema: dialect, title, ...schema, $defs };
}

/** A thing whose id stands before it. */
function withoutId(schema: JsonSchema, named: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const ref = /^#\/\$defs\/(.+)$/.exec(String(schema.$ref))?.[1];
  const found = ref === undefined ? schema : named[ref];
  const { required = [] } = found as { required?: readonly string[] };
  return { ...found, required: required.filter((field) => field !== 'id') };
}
