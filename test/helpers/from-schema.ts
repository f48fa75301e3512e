import fc from 'fast-check';

/** JSON Schema, as /openapi.json has it. */
export interface Schema {
  readonly [key: string]: unknown;
}

const words = [
  'a.example.com',
  '*.example.com',
  'a.example.com/api',
  'user-svc',
  'http://127.0.0.1:9',
  'service://user-svc',
];
const oddTexts = [
  '',
  ' ',
  '\u0000',
  'é',
  '../..',
  '%2F',
  '__proto__',
  'constructor',
  '1',
  '10.0.0.0/8',
  '{host}',
  '5s',
  'x'.repeat(300),
];
const junk: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  '',
  'x',
  '\ud800',
  [],
  {},
  [[]],
  [null],
  { '': 1 },
  2 ** 53,
];

const texts = fc.oneof(
  { arbitrary: fc.constantFrom(...words), weight: 4 },
  fc.constantFrom(...oddTexts),
  fc.string({ maxLength: 12 }),
);

/**
 * Values that a schema describes, for the most part; limits that only a sentence tells are the callee's to hold.
 * @param components what `#/components/schemas/…` leads to
 */
export function valuesOf(
  schema: Schema,
  components: Readonly<Record<string, Schema>>,
  depth = 0,
): fc.Arbitrary<unknown> {
  const inner = (one: unknown) => valuesOf((one ?? {}) as Schema, components, depth + 1);
  const { $ref, type, examples } = schema as {
    $ref?: string;
    type?: string;
    examples?: unknown[];
  };
  if ($ref) return inner(components[$ref.slice('#/components/schemas/'.length)]);
  const made = madeOf(schema, type, inner, depth);
  return examples ? fc.oneof({ arbitrary: fc.constantFrom(...examples), weight: 2 }, made) : made;
}

function madeOf(
  schema: Schema,
  type: string | undefined,
  inner: (one: unknown) => fc.Arbitrary<unknown>,
  depth: number,
) {
  if (schema.anyOf) return fc.oneof(...(schema.anyOf as Schema[]).map(inner));
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...(schema.enum as unknown[]));
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema as { minimum?: number; maximum?: number };
  if (type === 'string') return schema.pattern ? fc.oneof(fc.constantFrom('1', '@2', '50', '999'), texts) : texts;
  if (type === 'integer')
    return fc.oneof(
      fc.constantFrom(minimum, maximum),
      fc.integer({ min: minimum, max: Math.max(minimum, Math.min(maximum, 5_000)) }),
    );
  if (type === 'number')
    return fc.oneof(fc.constantFrom(minimum, maximum), fc.double({ min: minimum, max: maximum, noNaN: true }));
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'array') {
    const minLength = (schema.minItems as number) ?? 0;
    return fc.array(inner(schema.items), { minLength, maxLength: Math.max(minLength, depth > 3 ? 1 : 3) });
  }
  if (type !== 'object') return fc.constantFrom(...junk);
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
  const required = (schema.required ?? []) as string[];
  // Few of many: a route with every option at once is refused for the first two that do not go together.
  const optional = Object.keys(properties).filter((name) => !required.includes(name));
  const few = fc.subarray(optional, { maxLength: Math.min(3, optional.length) });
  const known = few.chain((names) =>
    // Without a target most are refused for just that.
    fc.record(
      Object.fromEntries(
        [...required, ...names, ...optional.filter((name) => name === 'target')].map((name) => [
          name,
          inner(properties[name]),
        ]),
      ),
    ),
  );
  if (typeof schema.additionalProperties !== 'object' || Object.keys(properties).length > 0) return known;
  return fc.dictionary(texts, inner(schema.additionalProperties), { maxKeys: 3 });
}

/** The same with one part, somewhere, in the place of which there is something else; or whole. */
export function brokenOf(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(
      values,
      fc.integer({ min: 0, max: 3 }),
      fc.array(fc.nat(9), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(...junk),
    )
    .map(([value, kind, way, other]) => (kind > 0 ? value : withOther(value, way, other)));
}

function withOther(value: unknown, [step, ...way]: readonly number[], other: unknown): unknown {
  if (step === undefined || typeof value !== 'object' || value === null) return other;
  const names = Object.keys(value);
  if (names.length === 0) return other;
  const name = names[step % names.length];
  const changed = withOther((value as Record<string, unknown>)[name], way, other);
  return Array.isArray(value)
    ? value.map((one, at) => (`${at}` === name ? changed : one))
    : { ...value, [name]: changed };
}
