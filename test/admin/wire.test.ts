import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { readDefinitions } from '../../src/admin/definitions.ts';
import { jsonSchemas } from '../../src/admin/json-schema.ts';
import { readRoutes } from '../../src/admin/schema.ts';
import { components } from '../../src/admin/wire/components.ts';
import { definitionWire } from '../../src/admin/wire/definition.ts';
import { routeWire } from '../../src/admin/wire/route-options.ts';
import { brokenOf, type Schema, valuesOf } from '../helpers/from-schema.ts';

// The core proves what is saved, the schemas tell editors and programs what that may be: they must not say different things.
const wire = suite('admin: what the schemas say, and what is taken');

const { named } = jsonSchemas({}, components, (name) => `#/components/schemas/${name}`);
const numRuns = 1_500;

const kinds = [
  { name: 'Route', schema: routeWire, id: 'a.example.com', takes: (one: unknown) => !('faults' in readRoutes([one])) },
  {
    name: 'Definition',
    schema: definitionWire,
    id: 'user-svc',
    takes: (one: unknown) => !('faults' in readDefinitions([one])),
  },
] as const;

for (const { name, schema, id, takes } of kinds) {
  wire(`${name}: what is taken is what the schema allows`, () => {
    const values = brokenOf(valuesOf(named[name] as Schema, named as Record<string, Schema>));
    const taken = fc
      .sample(values, { numRuns, seed: 7 })
      // As it comes over the wire, with an id that is good.
      .map((one) => JSON.parse(JSON.stringify(typeof one === 'object' && one !== null ? { ...one, id } : one)))
      .filter(takes);
    assert.ok(taken.length > 100, `only ${taken.length} are taken`);
    const odd = taken.filter((one) => !v.is(schema, one));
    assert.equal(odd.slice(0, 5), [], `${odd.length} of ${taken.length}`);
  });
}

wire('what is wrong in its form, both refuse', () => {
  const target = 'http://127.0.0.1:3000';
  const wrong: readonly Record<string, unknown>[] = [
    { target: 7 },
    { target: [] },
    { target, hostHeader: 'mine' },
    { target, connectTimeoutMs: 0 },
    { target, connectTimeoutMs: '5s' },
    { target, maxBodyBytes: -1 },
    { target, balance: 'best' },
    { target, owner: 'no label' },
    { target, handler: 7 },
    { target, handler: { source: '' } },
    { target, handler: { source: 'x', memoryMb: 1 } },
    { target, handler: { source: 'x', env: {} } },
    { target, access: { allow: [] } },
    { target, rateLimit: { requests: 0 } },
    { target, rateLimit: { requests: 'many' } },
    { target, compress: 'yes' },
    { target, cors: { origins: 5 } },
    { target, basicAuth: { users: {} } },
    { target, requestHeaders: { put: {} } },
    { target, maintenance: 5 },
    { target, stripPrefix: 5 },
    { redirect: { to: '/x', status: 200 } },
    { redirect: {} },
    { respond: { status: 99 } },
    { respond: { text: 'x' } },
    { target, retry: { tries: 'x' } },
    { target, tarrget: 1 },
  ];
  for (const one of wrong) {
    const route = { id: 'a.example.com', ...one };
    assert.is(v.is(routeWire, route), false, `the schema takes ${JSON.stringify(one)}`);
    assert.ok('faults' in readRoutes([route]), `taken: ${JSON.stringify(one)}`);
  }
});

wire.run();
