import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { brokenOf, type Schema, valuesOf } from '../helpers/from-schema.ts';
import { within } from '../helpers/wait.ts';
import { type Server, serve } from './oo.ts';

// Every call of a real server, with parameters and bodies made of the document's schemas, and broken ones: nothing fails, nothing hangs, each refusal
// says what a program and a person need, and what is answered is as the document says.
const fuzz = suite('the API under fuzz');

const seed = 5;
const triesPerCall = 40;
/** Waits are what these are for; theirs are made short. */
const waiting = new Set(['deploy', 'rollback', 'renewCertificate', 'examine']);

interface Call {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly {
    readonly name?: string;
    readonly in?: string;
    readonly required?: boolean;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: Schema }> };
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { readonly schema: Schema }> }>>;
}

let server: Server;
let calls: Call[];
let components: { readonly schemas: Record<string, Schema> };
const agent = new Agent({ keepAlive: true, maxSockets: 4 });

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Over the socket (an admin), or over the port with a token; '' for none. */
function ask(method: string, path: string, body?: string, token?: string): Promise<Answer> {
  const where =
    token === undefined
      ? { socketPath: join(server.stateDir, 'oo.sock') }
      : { host: '127.0.0.1', port: server.adminPort };
  const headers = {
    ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    ...(token && { authorization: `Bearer ${token}` }),
  };
  const answered = new Promise<Answer>((resolve, reject) => {
    const sent = request({ ...where, agent, method, path, headers }, (response: IncomingMessage) => {
      const type = response.headers['content-type'] ?? '';
      const status = response.statusCode ?? 0;
      let text = '';
      response.setEncoding('utf8').on('data', (part) => (text += part));
      response.on('end', () => resolve({ status, type, text }));
      response.on('error', reject);
      // It never ends.
      if (path.startsWith('/v1/events') && status === 200) {
        resolve({ status, type, text: '' });
        sent.destroy();
      }
    });
    sent.on('error', reject);
    sent.end(body);
  });
  return within(answered, `${method} ${path}`, 15_000);
}

fuzz.before(async () => {
  server = await serve();
  const document = JSON.parse((await ask('GET', '/openapi.json')).text);
  components = document.components;
  const all = Object.entries<Record<string, Omit<Call, 'method' | 'path'>>>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, call]) => ({ ...call, method: method.toUpperCase(), path })),
  );
  // Settings last: one of them says how much of the history is kept.
  calls = [
    ...all.filter((call) => call.operationId !== 'saveSettings'),
    ...all.filter((call) => call.operationId === 'saveSettings'),
  ];
});

fuzz.after(async () => {
  agent.destroy();
  const ended = await server?.stop().finally(cleanUp);
  assert.is(ended?.code, 0);
});

const ajv = new Ajv2020({ strict: false, allErrors: false });
addFormats.default(ajv);
const compiled = new Map<string, ReturnType<typeof ajv.compile>>();

/** What is wrong with an answer, or undefined. */
function wrongOf(call: Call, { status, type, text }: Answer): string | undefined {
  if (status >= 500) return `a ${status}`;
  if (status >= 400) {
    if (type !== 'application/problem+json') return `a refusal as ${type}`;
    const problem = JSON.parse(text);
    const fault = faultOf('Problem', { $ref: '#/components/schemas/Problem' }, problem);
    if (fault) return fault;
    if (!/^OO_[A-Z_]+$/.test(problem.code) || problem.hint === '' || problem.error === '')
      return 'a refusal without words';
    return problem.status === status ? undefined : `status ${problem.status} in the problem`;
  }
  const declared = call.responses[status];
  if (!declared) return `status ${status}, which the document does not have`;
  const media = type.split(';')[0];
  if (declared.content === undefined) return text === '' ? undefined : 'a body where there is none';
  if (!(media in declared.content)) return `an answer as ${type}`;
  if (media !== 'application/json' || call.operationId === 'getOpenApi') return undefined;
  return faultOf(`${call.operationId}>${status}`, declared.content[media].schema, JSON.parse(text));
}

function faultOf(name: string, schema: Schema, value: unknown): string | undefined {
  const prove = compiled.get(name) ?? ajv.compile({ ...schema, components });
  compiled.set(name, prove);
  return prove(value) ? undefined : `not as declared: ${ajv.errorsText(prove.errors)}`;
}

/** A call's path, with its query, and its body. */
function requestsOf(call: Call): fc.Arbitrary<{ readonly path: string; readonly body?: string }> {
  const values = (schema: Schema) => valuesOf(schema, components.schemas);
  const own = call.parameters.filter(({ name }) => name !== undefined);
  const places = own.filter((parameter) => parameter.in === 'path');
  const queries = own.filter((parameter) => parameter.in === 'query');
  const schema = call.requestBody?.content['application/json']?.schema;
  const body = schema === undefined ? fc.constant(undefined) : brokenOf(values(schema)).map((one) => textOf(call, one));
  return fc
    .tuple(
      fc.tuple(...places.map(() => values({ type: 'string' }))),
      fc.tuple(...queries.map((one) => fc.option(values(one.schema!), { freq: one.required ? 9 : 2 }))),
      body,
    )
    .map(([ids, asked, text]) => {
      const path = places.reduce(
        (made, { name }, at) => made.replace(`{${name}}`, encodeURIComponent(String(ids[at]).toWellFormed()) || 'none'),
        call.path,
      );
      const query = new URLSearchParams();
      for (const [at, { name }] of queries.entries())
        if (asked[at] !== null) for (const one of [asked[at]].flat()) query.append(name!, String(one).toWellFormed());
      return { path: query.size > 0 ? `${path}?${query}` : path, body: text };
    });
}

/** Of its name: another call more changes nothing for this one. */
function seedOf({ operationId }: Call): number {
  return [...operationId].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000_003, seed);
}

function textOf({ operationId }: Call, value: unknown): string {
  const short = waiting.has(operationId) && typeof value === 'object' && value !== null && !Array.isArray(value);
  return JSON.stringify(short ? { ...value, deadlineMs: 20, drainMs: 0 } : value) ?? 'nothing';
}

fuzz('each call answers as the document says, or refuses with a problem', async () => {
  const seen = new Set<string>();
  const wrong: string[] = [];
  for (const call of calls) {
    for (const { path, body } of fc.sample(requestsOf(call), {
      numRuns: waiting.has(call.operationId) ? 4 : triesPerCall,
      seed: seedOf(call),
    })) {
      const answer = await ask(call.method, path, body);
      seen.add(`${call.operationId} ${answer.status < 400 ? 'good' : 'refused'}`);
      const fault = wrongOf(call, answer);
      if (fault)
        wrong.push(
          `${call.operationId}: ${fault}\n  ${call.method} ${path} ${body?.slice(0, 400)}\n  ${answer.status} ${answer.text.slice(0, 400)}`,
        );
    }
  }
  assert.is(wrong.length, 0, `${wrong.length} wrong:\n${wrong.slice(0, 12).join('\n')}`);
  // Both kinds were met, or it has shown nothing.
  for (const id of [
    'saveRoutes',
    'saveRoute',
    'saveServices',
    'apply',
    'saveSettings',
    'explain',
    'listRoutes',
    'diff',
    'removeTokens',
  ])
    for (const kind of ['good', 'refused']) assert.ok(seen.has(`${id} ${kind}`), `no ${kind} ${id}`);
});

fuzz('bodies that are no JSON, and without any, are refused by each call that takes one', async () => {
  const bodies = [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '7',
    '{"a":1}{',
    `${'['.repeat(20_000)}`,
    '\u0000',
    '{"__proto__":{"a":1}}',
  ];
  for (const call of calls.filter(({ requestBody }) => requestBody))
    for (const body of bodies) {
      const answer = await ask(call.method, call.path.replace(/\{\w+\}/g, 'a.example.com'), body);
      assert.is(
        wrongOf(call, answer),
        undefined,
        `${call.operationId} ${body.slice(0, 30)}: ${answer.status} ${answer.text.slice(0, 300)}`,
      );
    }
});

fuzz(
  'over the port nobody, and a token for something else, gets a 401 or 403 from each closed call; HEAD answers where GET does',
  async () => {
    const admin = (await server.ok('token', 'create', '--admin', '-q')).out.trim();
    const weak = (await server.ok('token', 'create', '--scope', 'audit:read', '-q')).out.trim();
    for (const call of calls as (Call & { readonly 'x-scope': string })[]) {
      const path = call.path.replace(/\{\w+\}/g, 'user-svc');
      const scope = call['x-scope'];
      if (scope === 'open') continue;
      const none = await ask(call.method, path, call.requestBody && '{}', '');
      assert.equal([none.status, wrongOf(call, none)], [401, undefined], call.operationId);
      if (scope === 'any' || scope === 'audit:read') continue;
      const other = await ask(call.method, path, call.requestBody && '{}', weak);
      assert.equal([other.status, wrongOf(call, other)], [403, undefined], call.operationId);
    }
    for (const path of ['/v1/routes', '/v1/services', '/v1/history', '/v1/status', '/openapi.json']) {
      const { status, text } = await ask('HEAD', path, undefined, admin);
      assert.equal([status, text], [200, ''], path);
    }
  },
);

fuzz.run();
