import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  normalId,
  readBody,
  readRoutes,
  readServiceOptions,
  removeSchema,
  routeFields,
  saveSchema,
  serviceFields,
} from '../../src/admin/schema.ts';

const schema = suite('admin: the wire schemas');

const reference = 'oo schema and docs/options.md have those that there are';

const scryptHash = '$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

function messages(list: unknown[]): [number | undefined, string | undefined, string][] {
  const read = readRoutes(list);
  if ('routes' in read) throw new Error('it was accepted');
  return read.faults.map(({ index, field, message }) => [index, field, message]);
}

schema('every field of a route is known, with its value', () => {
  const route = {
    id: 'A/',
    target: 't',
    hostHeader: 'client',
    insecureSkipVerify: false,
    connectTimeoutMs: 1,
    responseTimeoutMs: 2,
    idleTimeoutMs: 3,
    maxBodyBytes: 4,
    http: 'allow',
    hsts: 'max-age=60; includeSubDomains',
    keyType: 'rsa',
    certificate: 'example.com',
    balance: { policy: 'hash', by: 'cookie:user' },
    health: '/up',
    outlier: { failures: 3 },
    breaker: true,
    limits: { maxConnections: 10 },
    retry: { tries: 2 },
    rollout: { gate: { state: 'paused' } },
    owner: 'shop-team',
    stripPrefix: '/api',
    addPrefix: '/v2',
    redirect: 'https://www.example.com',
    respond: 'OK',
    requestHeaders: { set: { 'X-Tenant': 'shop' } },
    responseHeaders: { remove: ['Server'] },
    basicAuth: { users: { ann: scryptHash } },
    forwardAuth: 'http://127.0.0.1:9091/verify',
    access: { allow: ['10.0.0.0/8'] },
    rateLimit: { requests: 5 },
    compress: true,
    cors: true,
    maintenance: true,
    mirror: 'http://10.0.0.9:3000',
    handler: { file: './auth.mjs', source: 'export default () => new Response()' },
  };
  assert.equal(Object.keys(route), routeFields);

  for (const { redirect, respond, handler, ...rest } of [route])
    for (const one of [{ redirect }, { respond }, { handler }])
      assert.equal(readRoutes([{ ...rest, ...one }]), { routes: [{ ...rest, ...one, id: 'a' }] });
});

for (const [name, route, field, message] of [
  ['unknown', { id: 'a', target: 't', hots: 1 }, 'hots', "unknown field 'hots'; did you mean hsts?"],
  [
    '__proto__',
    JSON.parse('{"id":"a","target":"t","__proto__":{}}'),
    '__proto__',
    `unknown field '__proto__'; ${reference}`,
  ],
  ['toString', { id: 'a', target: 't', toString: 1 }, 'toString', `unknown field 'toString'; ${reference}`],
  ['no id', { target: 't' }, 'id', 'id is missing; expected a host, or a host and a path, such as app.example.com/api'],
  ['no target', { id: 'a' }, 'target', 'target is missing; expected an address such as http://10.0.0.2:3000'],
  ['null', { id: 'a', target: null }, 'target', 'target is empty; expected an address such as http://10.0.0.2:3000'],
  [
    'a number',
    { id: 1, target: 't' },
    'id',
    'id is 1; expected a host, or a host and a path, such as app.example.com/api',
  ],
  ['a list', { id: 'a', target: [] }, 'target', 'target is a list; expected an address such as http://10.0.0.2:3000'],
  [
    'hostHeader',
    { id: 'a', target: 't', hostHeader: 'x' },
    'hostHeader',
    "hostHeader is 'x'; expected client or upstream",
  ],
  [
    'a text',
    { id: 'a', target: 't', idleTimeoutMs: '5s' },
    'idleTimeoutMs',
    "idleTimeoutMs is '5s'; expected whole milliseconds",
  ],
  [
    'yes',
    { id: 'a', target: 't', insecureSkipVerify: 'yes' },
    'insecureSkipVerify',
    "insecureSkipVerify is 'yes'; expected true or false",
  ],
] as const) {
  schema(`refused: ${name}`, () => assert.equal(messages([{ id: 'ok', target: 't' }, route]), [[1, field, message]]));
}

for (const [route, field, message] of [
  [
    { balance: 'fastest' },
    'balance',
    "balance is 'fastest'; expected power-of-two, least-requests, round-robin, random or hash, or a mapping",
  ],
  [{ balance: null }, 'balance', 'balance is empty; expected a policy such as least-requests, or a mapping'],
  [
    { balance: { policy: 'fastest' } },
    'balance',
    "balance.policy is 'fastest'; expected power-of-two, least-requests, round-robin, random or hash",
  ],
  [{ health: { path: 5 } }, 'health', "health.path is '5'; expected a text"],
  [
    { limits: { maxConn: 5 } },
    'limits',
    "unknown field 'limits.maxConn'; expected one of maxConnections, maxWaiting, maxWaitMs",
  ],
  [{ rollout: null }, 'rollout', 'rollout is empty; expected a mapping with gate, canary, previous'],
  [
    { target: [{ url: 'http://b', weigth: 3 }] },
    'target',
    "unknown field 'target[0].weigth'; expected one of url, weight, priority",
  ],
  [{ target: {} }, 'target', 'target is a mapping; expected an address such as http://10.0.0.2:3000'],
] as const) {
  schema(`refused, with the path of the field: ${JSON.stringify(route)}`, () =>
    assert.equal(messages([{ id: 'a', target: 'http://a', ...route }]), [[0, field, message]]),
  );
}

schema('targets: an address, a list with weights and priorities, a service', () => {
  for (const target of ['a:1', ['a:1', { url: 'http://b', weight: 3, priority: 1 }], 'service://user-svc'])
    assert.equal(readRoutes([{ id: 'a', target }]), { routes: [{ id: 'a', target }] });
});

schema('a definition: its options are proven, its other fields are anybody’s', () => {
  const options = {
    target: ['http://10.0.0.1', { url: 'http://10.0.0.2', weight: 3 }],
    hostHeader: 'upstream',
    insecureSkipVerify: true,
    maxBodyBytes: 10,
    connectTimeoutMs: 1,
    responseTimeoutMs: 2,
    idleTimeoutMs: 3,
    balance: 'least-requests',
    health: { path: '/up' },
    outlier: false,
    breaker: true,
    limits: { maxWaiting: 0 },
    retry: false,
    rollout: { gate: { state: 'stopped' } },
  };
  assert.equal(Object.keys(options), serviceFields);
  assert.equal(readServiceOptions('user-svc', { id: 'user-svc', owner: 'ann', http: 7, ...options }), { options });
  assert.equal(readServiceOptions('user-svc', { id: 'user-svc', health: undefined }), { options: {} });
});

for (const [definition, field, message] of [
  [{ health: 'up' }, 'health', "health is 'up'; expected false, a path such as /up, tcp, grpc, or a mapping"],
  [
    { balance: { policy: 7 } },
    'balance',
    "balance.policy is '7'; expected power-of-two, least-requests, round-robin, random or hash",
  ],
  [{ hostHeader: 'mine' }, 'hostHeader', "hostHeader is 'mine'; expected client or upstream"],
  [{ maxBodyBytes: '1' }, 'maxBodyBytes', "maxBodyBytes is '1'; expected a whole number of bytes, 0 or more"],
  [
    { target: 'service://b' },
    'target',
    'target is a service; expected an address, or none for the instances that register',
  ],
] as const) {
  schema(`a definition that is refused: ${JSON.stringify(definition)}`, () =>
    assert.equal(readServiceOptions('user-svc', { id: 'user-svc', ...definition }), {
      faults: [{ id: 'user-svc', field, message }],
    }),
  );
}

schema("refused by the core's rules too, and with a place that is the list's own", () => {
  const list = [
    3,
    { id: 'a b', target: 'ftp://x' },
    { id: 'a', target: 't', maxBodyBytes: -1 },
    { id: 'a', target: 't', maxBodyBytes: 0.5 },
  ];
  assert.equal(
    messages(list).map(([index, field]) => [index, field]),
    [
      [0, undefined],
      [1, 'id'],
      [1, 'target'],
      [2, 'maxBodyBytes'],
      [3, 'maxBodyBytes'],
    ],
  );
});

schema('an id that comes twice, by normal form, names the first one', () => {
  const read = readRoutes([3, { id: 'A.', target: 't' }, { id: 'b', target: 't' }, { id: 'a', target: 't' }]);
  const fault = 'faults' in read ? read.faults[1] : undefined;
  assert.equal([fault?.index, fault?.first], [3, 1]);
  assert.is(fault?.message, "id 'a' is that of route 2 of the list too; expected each id once");
});

schema('values in messages are one line, of bounded length', () => {
  const [[, , message]] = messages([{ id: 'a', target: 't', hostHeader: `\u001b[31m\n${'x'.repeat(9_999)}` }]);
  assert.ok(message.length < 200);
  assert.not.match(message, /\p{C}/u);
});

schema('bodies', () => {
  const faults = (body: unknown, of = saveSchema) => {
    const read = readBody(of as typeof saveSchema, body);
    return 'faults' in read ? read.faults.map(({ message }) => message) : 'accepted';
  };
  assert.is(faults({ routes: [] }), 'accepted');
  assert.equal(faults({ routes: 1, more: 1 }), ['routes is 1; expected a list', "unknown field 'more'"]);
  assert.equal(faults({}), ['routes is missing; expected a list']);
  assert.equal(faults('x'), ["the body is 'x'; expected a JSON object"]);
  assert.match(
    faults({ routes: [], reason: 'x'.repeat(1_001) })[0],
    /^reason is 'x+…'; expected at most 1000 characters$/,
  );
  assert.equal(faults({ ids: [1] }, removeSchema as never), ['ids.0 is 1; expected a text']);
});

schema('normalId', () => {
  assert.is(normalId('EXAMPLE.com.:80/a/'), 'example.com:80/a');
  assert.is(normalId('http://x'), undefined);
});

schema.run();
