import type * as v from 'valibot';
import { type JsonSchema, jsonSchemas } from './json-schema.ts';
import type { Operation } from './operation.ts';
import { components } from './wire/components.ts';

type Json = Readonly<Record<string, unknown>>;

const refOf = (name: string) => `#/components/schemas/${name}`;
const problem = {
  'application/problem+json': { schema: { $ref: refOf('Problem') } },
};

/** Answers that many calls have. */
const refusals = {
  BadRequest: 'Something in the request is not as it must be; `faults` has each thing.',
  Unauthorized: 'No token, or one that is not good.',
  Forbidden: 'The token lacks the scope.',
  Conflict: 'The revision is another one than that of If-Match.',
  TooLarge: 'The body is too large.',
  TooMany: 'Too many requests; Retry-After says how long to wait.',
  Failed: 'A fault of the program (500), or the database can not take it now (503).',
} as const;

/** The API as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1). */
export function openApi(operations: readonly Operation[], version: string): Json {
  const { schemas, named } = jsonSchemas(schemasOf(operations), components, refOf);
  const paths: Record<string, Record<string, Json>> = {};
  for (const operation of operations) {
    paths[operation.path] ??= {};
    paths[operation.path][operation.method] = operationOf(operation, schemas);
  }
  const tags = [...new Set(operations.map(({ tag }) => tag))].sort();
  return {
    openapi: '3.1.1',
    info: {
      title: 'oo',
      version,
      summary: 'A reverse proxy and load balancer that brings its own HTTPS.',
      description:
        'By the unix socket in the state directory no token is needed. Over the service port (11337) each call needs `Authorization: Bearer oo_…`, with the scope that is named with it; `admin` is everything, and to write a thing is to read it, too. Answers about the configuration have its revision as ETag; changes take it as If-Match.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: named,
      responses: Object.fromEntries(
        Object.entries(refusals).map(([name, description]) => [name, { description, content: problem }]),
      ),
      headers: { ETag: { description: "The configuration's revision, in quotes.", schema: { type: 'string' } } },
      parameters: {
        IfMatch: {
          ...{ name: 'If-Match', in: 'header', required: false, schema: { type: 'string' }, example: '"12"' },
          description: 'Change only if this still is the revision: the ETag of an answer. Else 412.',
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A token, as `oo token create` makes it.' },
      },
    },
  };
}

/** Every schema that is not named itself, by the place that it is for. */
function schemasOf(operations: readonly Operation[]): Record<string, v.GenericSchema> {
  const found: Record<string, v.GenericSchema> = {};
  for (const { id, query, body, answers } of operations) {
    for (const [name, schema] of Object.entries(query?.entries ?? {})) found[`${id}?${name}`] = schema;
    if (body) found[`${id}<`] = body;
    for (const [status, { schema }] of Object.entries(answers)) if (schema) found[`${id}>${status}`] = schema;
  }
  return found;
}

function operationOf(operation: Operation, schemas: Readonly<Record<string, JsonSchema>>): Json {
  const { id, tag, summary, description, scope, body, bodyRequired = true } = operation;
  const scoped = scope === 'open' || scope === 'any' ? [] : [scope];
  const says = scope === 'open' ? 'No token is needed.' : scope === 'any' ? '' : `Scope: \`${scope}\`.`;
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, says].filter(Boolean).join('\n\n'),
    security: scope === 'open' ? [] : [{ bearer: scoped }],
    'x-scope': scope,
    parameters: parametersOf(operation, schemas),
    ...(body && {
      requestBody: { required: bodyRequired, content: { 'application/json': { schema: schemas[`${id}<`] } } },
    }),
    responses: responsesOf(operation, schemas),
  };
}

function parametersOf({ id, path, params, query, conditional }: Operation, schemas: Record<string, JsonSchema>) {
  const found: Json[] = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
    ...(params?.[name] && { description: params[name] }),
  }));
  for (const [name, entry] of Object.entries(query?.entries ?? {})) {
    const { description, ...schema } = schemas[`${id}?${name}`];
    const list = (schema.anyOf as JsonSchema[] | undefined)?.find(({ type }) => type === 'array');
    found.push({
      ...{ name, in: 'query', required: entry.type !== 'optional', schema: list ?? schema },
      ...(description !== undefined && { description }),
    });
  }
  if (conditional) found.push({ $ref: '#/components/parameters/IfMatch' });
  return found;
}

const configured = new Set(['routes', 'services', 'configuration', 'history']);

function responsesOf(operation: Operation, schemas: Readonly<Record<string, JsonSchema>>): Json {
  const { id, answers, tag, scope, body, query, path, conditional } = operation;
  const found: Record<string, Json> = {};
  for (const [status, { description, schema, type }] of Object.entries(answers)) {
    const good = Number(status) < 400;
    const content = {
      ...(schema && { 'application/json': { schema: schemas[`${id}>${status}`] } }),
      ...Object.fromEntries([type ?? []].flat().map((one) => [one, { schema: { type: 'string' } }])),
      ...(!good && problem),
    };
    const tagged = good && configured.has(tag) && status !== '204';
    found[status] = {
      description,
      ...(tagged && { headers: { ETag: { $ref: '#/components/headers/ETag' } } }),
      ...(Object.keys(content).length > 0 && { content }),
    };
  }
  const refuse = (status: string, name: keyof typeof refusals, when: boolean) => {
    if (when) found[status] ??= { $ref: `#/components/responses/${name}` };
  };
  refuse('400', 'BadRequest', body !== undefined || query !== undefined || path.includes('{'));
  refuse('401', 'Unauthorized', scope !== 'open');
  refuse('403', 'Forbidden', scope !== 'open');
  refuse('412', 'Conflict', conditional === true);
  refuse('413', 'TooLarge', body !== undefined);
  refuse('429', 'TooMany', true);
  refuse('default', 'Failed', true);
  return found;
}
