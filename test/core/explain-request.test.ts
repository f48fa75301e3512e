import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { explainOptions } from '../../src/core/explain-options.ts';
import { type AskedRequest, explainFields, readAskedUrl } from '../../src/core/explain-request.ts';
import { keptFields, requestPlan } from '../../src/core/headers.ts';
import { decideGuard, guardOrder } from '../../src/core/option-guard.ts';
import { compileRoute } from '../../src/core/routes.ts';
import type { Route } from '../../src/core/types.ts';

const explaining = suite('explain: requests and options');

const urls: [url: string, read: ReturnType<typeof readAskedUrl> | RegExp][] = [
  ['app.test', { scheme: 'https', authority: 'app.test', port: 443, path: '/', query: '' }],
  [
    'HTTP://App.test:8080/a%2Fb/../c?x=1#top',
    { scheme: 'http', authority: 'App.test:8080', port: 8080, path: '/a%2Fb/../c', query: '?x=1' },
  ],
  ['https://[::1]:8443?q', { scheme: 'https', authority: '[::1]:8443', port: 8443, path: '/', query: '?q' }],
  [
    'https://app.test/caf\u00e9 x',
    { scheme: 'https', authority: 'app.test', port: 443, path: '/caf%C3%A9%20x', query: '' },
  ],
  ['https://app.test/a\\b', { scheme: 'https', authority: 'app.test', port: 443, path: '/a\\b', query: '' }],
  ['ftp://app.test/', /scheme is not http or https/],
  ['https:///x', /names no host/],
  ['https://u:p@app.test/', /user name/],
  ['', /names no host/],
  [`https://app.test/${'x'.repeat(9_000)}`, /no URL/],
  ['https://app.test/\ud800', { scheme: 'https', authority: 'app.test', port: 443, path: '/%EF%BF%BD', query: '' }],
];
for (const [url, expected] of urls) {
  explaining(`the URL ${url.slice(0, 60)}`, () => {
    const read = readAskedUrl(url, 'https');
    if (expected instanceof RegExp) assert.match(String(read), expected);
    else assert.equal(read, expected);
  });
}

function asked(more: Partial<AskedRequest> = {}): AskedRequest {
  return {
    ...{ scheme: 'https', authority: 'app.test', port: 443, path: '/api/x', query: '?q=1', method: 'GET' },
    ...{ fields: [], from: '203.0.113.9', ...more },
  };
}

const fields: [string, string][] = [
  ['cookie', 'a=1'],
  ['connection', 'close, x-hop'],
  ['x-hop', '1'],
  ['x_under', '1'],
  ['forwarded', 'for=1'],
  ['x-forwarded-for', '198.51.100.7'],
  ['x-forwarded-port', '99'],
  ['proxy-authorization', 'x'],
  ['te', 'trailers'],
  ['accept', '*/*'],
];

for (const trusted of [false, true]) {
  explaining(
    `fields that are dropped are those that are not kept, ${trusted ? '' : 'not '}from a trusted proxy`,
    () => {
      const { dropped } = explainFields(asked({ fields }), trusted, '1.1');
      const kept = new Map(keptFields(new Headers(fields), requestPlan(trusted)));
      const gone = fields.map(([name]) => name).filter((name) => !kept.has(name));
      assert.equal(dropped.map(({ name }) => name).sort(), gone.sort());
    },
  );
}

explaining('fields that are added tell of the client', () => {
  const added = (trusted: boolean) =>
    Object.fromEntries(explainFields(asked({ fields }), trusted, '1.1').added.map(({ name, value }) => [name, value]));
  assert.is(added(false)['X-Forwarded-For'], '203.0.113.9');
  assert.is(added(true)['X-Forwarded-For'], '198.51.100.7, 203.0.113.9');
  assert.is(added(false)['X-Forwarded-Proto'], 'https');
});

function options(route: Partial<Route>, request: Partial<AskedRequest> = {}) {
  const compiled = compileRoute({ id: 'app.test/api', target: '10.0.0.1', ...route });
  if (Array.isArray(compiled)) throw new Error(compiled.map(({ message }) => message).join('; '));
  const whole = asked(request);
  const told = explainOptions(compiled, whole, whole.from);
  // The same functions that the edge asks: nobody may answer before the one that is said to.
  const field = (name: string) =>
    whole.fields
      .filter(([one]) => one === name)
      .map(([, value]) => value)
      .join(', ');
  const first = guardOrder.find((name) => {
    if (compiled.options === null || compiled.options[name] === null) return false;
    const step = decideGuard(compiled.options, name, { ...whole, address: whole.from, field }, () => 0);
    return step?.kind === 'reply' || step?.kind === 'refuse';
  });
  if (first !== undefined) assert.is(told.answer?.option, first);
  return told;
}

const said = ({ steps }: ReturnType<typeof options>) =>
  steps.map(({ option, effect, text }) => `${option} ${effect}: ${text}`);
const hash = '$scrypt$ln=15,r=8,p=3$c2FsdHNhbHRzYWx0c2FsdA$bm90YXJlYWxoYXNobm90YXJlYWxoYXNobm90YXJlYWw';

explaining('a route without options has no steps', () => {
  assert.equal(options({}), { steps: [], answer: null, target: '/api/x?q=1', put: [], drop: [] });
});

explaining('maintenance and access, by the address', () => {
  const closed = {
    maintenance: { message: 'Back soon', allow: ['203.0.113.0/24'] },
    access: { allow: ['203.0.113.9'] },
  };
  assert.equal(said(options(closed)), [
    'maintenance passes: 203.0.113.9 is let through: it is in maintenance.allow',
    'access passes: 203.0.113.9 is in access.allow, and not denied',
  ]);
  assert.equal(
    said(options(closed, { from: '203.0.113.10' }))[1].slice(0, 40),
    'access refuses: 403 OO_FORBIDDEN_ADDRESS',
  );
  const shut = options(closed, { from: '10.0.0.1' });
  assert.equal(said(shut), ['maintenance refuses: 503 OO_MAINTENANCE: Back soon']);
  assert.is(shut.target, null);
});

explaining('what cannot be known is said to be so: rate, password, another server', () => {
  const route = { rateLimit: { requests: 5, perMs: 60_000 }, forwardAuth: 'http://127.0.0.1:9091/verify' };
  const told = options(route);
  assert.ok(told.steps.every(({ effect }) => effect === 'asks'));
  assert.match(told.steps[0].text, /^5 requests in 60000 ms, 5 at once, counted by ip \(here 203\.0\.113\.9\)/);
  assert.is(told.answer, null);
  const secret = options({ rateLimit: { requests: 5, by: 'header:x-key' } }, { fields: [['x-key', 'hunter2']] });
  assert.not.match(JSON.stringify(secret), /hunter2/);
});

explaining('basic auth: without credentials, with an unknown name, with a known one', () => {
  const route = { basicAuth: { users: { ann: hash } } };
  const with64 = (text: string) => ({ fields: [['authorization', `Basic ${btoa(text)}`]] as [string, string][] });
  const told = options(route);
  assert.is(told.answer?.status, 401);
  assert.match(said(options(route, with64('bob:x')))[0], /^basicAuth refuses: there is no user bob/);
  const known = options(route, with64('ann:hunter2'));
  assert.match(said(known)[0], /^basicAuth asks: it names the user ann/);
  assert.not.match(JSON.stringify(known), /hunter2/);
});

explaining('redirect, static answer, preflight', () => {
  const redirect = options({ target: undefined, redirect: 'https://www.test' });
  assert.equal(redirect.answer, {
    option: 'redirect',
    effect: 'answers',
    status: 308,
    text: '308, Location: https://www.test/x?q=1',
  });
  assert.is(
    options({ target: undefined, respond: { status: 410, body: 'gone' } }).answer?.text,
    '410 with a body of 4 characters',
  );
  const preflight = {
    method: 'OPTIONS',
    fields: [
      ['origin', 'https://a.test'],
      ['access-control-request-method', 'PUT'],
    ] as [string, string][],
  };
  const cors = { cors: { origins: ['https://a.test'] } };
  assert.is(options(cors, preflight).answer?.text, '204: the answer to a preflight, which allows it');
  const other = { ...preflight, fields: [['origin', 'https://b.test'], preflight.fields[1]] as [string, string][] };
  assert.is(options(cors, other).answer?.text, '204: the answer to a preflight, which does not allow https://b.test');
  assert.equal(said(options(cors, { fields: [['origin', 'https://b.test']] })), [
    'cors changes: pages of https://b.test may not read the answer',
  ]);
});

explaining('rewriting: path, fields, coding', () => {
  const told = options(
    {
      stripPrefix: true,
      addPrefix: '/v2',
      compress: true,
      requestHeaders: { remove: ['Cookie'], set: { 'X-Client': '{client.ip}' } },
    },
    { fields: [['accept-encoding', 'br, gzip']] },
  );
  assert.is(told.target, '/v2/x?q=1');
  assert.equal(told.put, [
    { name: 'X-Forwarded-Prefix', value: '/api' },
    { name: 'X-Client', value: '203.0.113.9' },
  ]);
  assert.equal(told.drop, ['cookie', 'x-client']);
  assert.equal(said(told), [
    'stripPrefix changes: /api is taken off the path, then /v2 is put before it: /v2/x?q=1',
    'requestHeaders changes: remove cookie; set X-Client: {client.ip}',
    'compress changes: the body is sent in br, where its type and length are fit for it',
  ]);
});

explaining.run();
