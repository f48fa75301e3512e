import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { explainText } from '../../cli/explain-text.ts';
import type { CertificateDetail } from '../../src/admin/certs.ts';
import { explanationWire } from '../../src/admin/explain-wire.ts';
import { compilePoolSpec, instanceKey } from '../../src/core/pool-compile.ts';
import { parseTarget } from '../../src/core/target.ts';
import type { Route } from '../../src/core/types.ts';
import type { ServicePool } from '../../src/services/types.ts';
import { anyAuthority, anyPath, anyRoutes, lastOfEach } from '../core/naive.ts';
import { explained } from '../helpers/explained.ts';

const explaining = suite('admin: explain');
const app: Route = { id: 'app.test', target: 'http://10.0.0.1:3000' };

function pool(slug: string, ...urls: string[]): ServicePool {
  const rest = { weight: 1, priority: 0, status: 'Unknown', details: '', statusSince: 0, createdAt: 0 } as const;
  return { slug, members: urls.map((url) => ({ id: url, url, ...rest })) };
}

explaining('a request that is forwarded: from the listener to the limits', async () => {
  const { ask } = await explained({
    routes: [{ ...app, http: 'allow', responseTimeoutMs: 9_000, retry: { tries: 2 } }],
    instances: [{ key: 'http://10.0.0.1:3000', state: 'Healthy', inFlight: 4 }],
  });
  const told = await ask({
    url: 'http://app.test/x?y=1',
    method: 'POST',
    from: '203.0.113.9',
    headers: { Cookie: 'a=1', Te: 'trailers' },
  });
  assert.ok(v.is(explanationWire, told), 'as the API says');
  assert.equal(told.outcome, {
    kind: 'forwarded',
    ok: true,
    status: 0,
    code: '',
    text: 'it goes to http://10.0.0.1:3000',
  });
  assert.equal([told.listener.name, told.listener.port, told.listener.leadsTo], ['http', 80, '']);
  assert.is(told.match.route, 'app.test');
  assert.is(told.certificate, null);
  assert.equal(told.upstream?.dropped, [{ name: 'te', why: 'it is for one connection only' }]);
  assert.equal(
    told.pool?.main.members.map(({ health, inFlight, why }) => [health, inFlight, why]),
    [['Healthy', 4, 'it is the only one']],
  );
  const limits = Object.fromEntries(told.limits.map(({ name, value, from }) => [name, `${value} ${from}`]));
  assert.is(limits.connectTimeoutMs, '5000 server');
  assert.is(limits.responseTimeoutMs, '9000 route');
  assert.is(limits['retry.tries'], '2 route');
});

explaining('plain HTTP leads to HTTPS, for each path of a host that has a route', async () => {
  const { ask } = await explained({ routes: [{ ...app, id: 'app.test/api' }] });
  const told = await ask('http://app.test/other?q');
  assert.is(told.outcome.kind, 'redirected');
  assert.is(told.outcome.status, 301);
  assert.is(told.listener.leadsTo, 'https://app.test/other?q');
  const unknown = await ask('http://other.test/');
  assert.equal([unknown.outcome.kind, unknown.outcome.code], ['none', 'OO_NO_ROUTE']);
  const trusted = await explained({ routes: [app], server: { trustedProxies: ['10.0.0.0/8'] } });
  const behind = {
    url: 'http://app.test/',
    from: '10.0.0.9',
    headers: { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '198.51.100.7' },
  };
  const kept = await trusted.ask(behind);
  assert.equal([kept.outcome.kind, kept.request.client, kept.request.trusted], ['forwarded', '198.51.100.7', true]);
  assert.is((await trusted.ask({ ...behind, from: '11.0.0.9' })).outcome.kind, 'redirected');
});

function detail(id: string, more: Partial<CertificateDetail> = {}): CertificateDetail {
  return {
    ...{ id, names: [id], certificate: null, stored: true, chain: [], keyType: 'ecdsa', source: 'acme' as const },
    ...{ directory: '', unmet: null, routes: [], renewAt: null, renewalWindow: null, failures: 0, lastFailure: null },
    ...{ nextTryAt: null, running: null, ...more },
  };
}

const dated = (id: string, notAfter: string) => ({ id, createdAt: '', updatedAt: '', notAfter, issuer: 'E6' });

explaining('the certificate that is served: the own one, the wildcard, none yet, expired, none at all', async () => {
  const details: Record<string, CertificateDetail> = {
    'app.test': detail('app.test', { certificate: dated('app.test', '2999-01-01T00:00:00.000Z') }),
    '*.wild.test': detail('*.wild.test', { certificate: dated('*.wild.test', '2999-01-01T00:00:00.000Z') }),
    'x.wild.test': detail('x.wild.test', { running: { at: '', step: 'order', detail: '' } }),
    'old.test': detail('old.test', { certificate: dated('old.test', '1970-01-01T00:00:00.000Z') }),
    'new.test': detail('new.test', {
      nextTryAt: '2030-01-01T00:00:00.000Z',
      lastFailure: { at: '', step: 'order', directory: '', message: 'the CA was not reached', hint: '', problem: '' },
    }),
    'local.test': detail('local.test', { unmet: { reason: 'ACME is off', hint: 'Bring one.' } }),
  };
  const { ask } = await explained({ routes: [{ ...app, id: '*' }], certificates: { get: async (id) => details[id] } });
  const of = async (host: string) => {
    const { certificate, outcome } = await ask(`https://${host}/`);
    return [certificate?.id, certificate?.state, outcome.ok];
  };
  assert.equal(await of('App.test.'), ['app.test', 'served', true]);
  assert.equal(await of('x.wild.test'), ['*.wild.test', 'served', true]);
  assert.equal(await of('old.test'), ['old.test', 'expired', false]);
  assert.equal(await of('new.test'), ['new.test', 'waiting', false]);
  assert.equal(await of('local.test'), ['local.test', 'none', false]);
  assert.equal(await of('nobody.test'), ['', 'none', false]);
  const { certificate } = await ask('https://new.test');
  assert.match(certificate!.text, /the CA was not reached; the next try is at 2030/);
});

explaining('nothing matches: what is near', async () => {
  const { ask } = await explained({ routes: [{ ...app, id: 'app.test/api' }], server: { https: 0 } });
  const told = await ask('app.test/ap');
  assert.equal([told.outcome.ok, told.outcome.status, told.outcome.code], [false, 404, 'OO_NO_ROUTE']);
  assert.equal(told.match.misses, ['app.test has routes, but only under /api; did you mean /api?']);
  assert.is(told.pool, null);
  assert.is((await ask('https://app.test/api')).outcome.kind, 'none', 'HTTPS is not served');
});

/** Services are probed: that is a part of their instances' keys. */
function probedKey(url: string): string {
  const target = parseTarget(url);
  if (typeof target === 'string') throw new Error(target);
  const { settings } = compilePoolSpec('service users', 'service', undefined, {}, () => {});
  return instanceKey(target, false, settings.instance);
}

explaining('services: by a route, and on the service port', async () => {
  const { ask } = await explained({
    routes: [
      { id: '*', target: 'service://users', http: 'allow' },
      { id: 'gone.test', target: 'service://gone', http: 'allow' },
    ],
    services: [{ id: 'users', connectTimeoutMs: 700, retry: { tries: 5 } }, { id: 'empty' }],
    pools: [pool('users', 'http://10.0.0.5:1', 'http://10.0.0.6:1')],
    instances: [{ key: probedKey('http://10.0.0.5:1'), state: 'Unreachable', reason: 'refused' }],
  });
  const routed = await ask('http://any.test/x');
  assert.is(routed.outcome.text, 'it goes to http://10.0.0.6:1');
  assert.equal(
    routed.pool?.main.members.map(({ picked }) => picked),
    ['no', 'yes'],
  );
  assert.equal(
    routed.limits.find(({ name }) => name === 'retry.tries'),
    { name: 'retry.tries', value: 5, from: 'service' },
  );
  assert.equal(routed.limits[0], { name: 'connectTimeoutMs', value: 5_000, from: 'server' });
  const direct = await ask('http://127.0.0.1:11337/users/x');
  assert.equal([direct.listener.name, direct.match.route, direct.pool?.service], ['service', 'service users', 'users']);
  assert.equal(direct.limits[0], { name: 'connectTimeoutMs', value: 700, from: 'service' });
  const codes = async (url: string) => (await ask(url)).outcome.code;
  assert.is(await codes('http://127.0.0.1:11337/nobody/x'), 'OO_NO_SERVICE');
  assert.is(await codes('http://127.0.0.1:11337/empty'), 'OO_NO_INSTANCE');
  assert.is(await codes('http://127.0.0.1:11337/a%2Fb'), 'OO_BAD_PATH');
  assert.is(await codes('http://gone.test/'), 'OO_NO_INSTANCE');
  assert.is((await ask('http://127.0.0.1:11337/v1/status')).outcome.kind, 'answered');
});

explaining('sticky cookies, hash keys, canaries and gates', async () => {
  const sticky: Route = {
    id: 'sticky.test',
    http: 'allow',
    target: ['10.0.0.1', '10.0.0.2'],
    balance: { sticky: true },
  };
  const hashed: Route = {
    id: 'hash.test',
    http: 'allow',
    target: ['10.0.0.1', '10.0.0.2'],
    balance: { policy: 'hash', by: 'header:x-user' },
  };
  const rollout = (more: NonNullable<Route['rollout']>): Route => ({ ...app, http: 'allow', rollout: more });
  const { ask } = await explained({
    routes: [
      sticky,
      hashed,
      { ...rollout({ canary: { target: '10.0.0.9', percent: 10, header: 'x-canary=yes' } }), id: 'canary.test' },
      { ...rollout({ gate: { state: 'stopped', message: 'Moving' } }), id: 'stopped.test' },
      { ...rollout({ gate: { state: 'paused' } }), id: 'paused.test' },
      { ...rollout({ gate: { state: 'stopped', until: 999 } }), id: 'over.test' },
    ],
    tokens: (name, address) => [`${name}|${address}`],
  });
  const stuck = await ask({
    url: 'http://sticky.test/',
    headers: { cookie: 'oo_sticky=route sticky.test|http://10.0.0.2:80' },
  });
  assert.is(stuck.pool?.main.chosen, 'http://10.0.0.2:80');
  assert.equal(stuck.pool?.choice, ['the cookie oo_sticky names http://10.0.0.2:80']);
  assert.equal((await ask('http://sticky.test/')).pool?.choice, ['it has no cookie oo_sticky: the answer sets it']);
  const key = await ask({ url: 'http://hash.test/', headers: { 'X-User': 'ann' } });
  assert.is(key.pool?.choice[0], 'it is hashed by its header x-user');
  assert.ok(key.pool?.main.chosen !== '');
  assert.is((await ask('http://hash.test/')).pool?.choice[0], "it is hashed by the client's address 127.0.0.1");
  const canary = await ask({ url: 'http://canary.test/', headers: { 'X-Canary': 'yes' } });
  assert.is(canary.outcome.text, "it goes to the canary's http://10.0.0.9:80");
  assert.is(
    (await ask('http://canary.test/')).outcome.text,
    'it goes to http://10.0.0.1:3000; 10 % of all go to the canary',
  );
  const stopped = await ask('http://stopped.test/');
  assert.equal([stopped.outcome.kind, stopped.outcome.code], ['refused', 'OO_STOPPED']);
  assert.is((await ask('http://paused.test/')).outcome.kind, 'waits');
  assert.is((await ask('http://over.test/')).outcome.kind, 'forwarded', 'an order that is over is none');
});

explaining('of a name with several addresses each is an instance', async () => {
  const { ask } = await explained({
    routes: [{ id: '*', http: 'allow', target: 'http://web.internal:80' }],
    instances: [
      { key: 'http://web.internal@10.0.0.1', state: 'Healthy' },
      { key: 'http://web.internal@10.0.0.2', state: 'Unreachable', reason: 'refused' },
    ],
  });
  const { pool, outcome } = await ask('http://app.test/');
  assert.is(pool?.main.members.length, 2);
  assert.ok(outcome.text.endsWith('@10.0.0.1'), outcome.text);
});

explaining('options answer in their order', async () => {
  const { ask } = await explained({
    routes: [{ id: 'app.test', http: 'allow', access: { deny: ['10.0.0.0/8'] }, redirect: 'https://www.test' }],
  });
  const inside = await ask({ url: 'http://app.test/x', from: '10.1.1.1' });
  assert.equal(
    [inside.outcome.kind, inside.outcome.status, inside.outcome.code],
    ['refused', 403, 'OO_FORBIDDEN_ADDRESS'],
  );
  assert.is(inside.upstream, null);
  const outside = await ask('http://app.test/x');
  assert.equal([outside.outcome.kind, outside.outcome.status, outside.outcome.ok], ['redirected', 308, true]);
});

explaining('a handler: which, which version, that it comes before forwarding, and alone', async () => {
  const handler = { file: './auth.mjs', source: 'export default () => {}', timeoutMs: 500 };
  const routes: Route[] = [
    { id: 'a.test', target: 'http://10.0.0.1', handler, stripPrefix: '/x', responseHeaders: { set: { a: 'b' } } },
    { id: 'b.test', handler, access: { deny: ['203.0.113.9'] }, compress: true, requestHeaders: { set: { a: 'b' } } },
    { id: 'c.test', target: 'service://none', handler },
  ];
  const { ask } = await explained({ routes, server: { https: 0 } });
  const a = await ask('http://a.test/x/y');
  assert.equal(
    a.options.map(({ option, effect }) => `${option} ${effect}`),
    ['handler asks', 'stripPrefix changes', 'responseHeaders changes'],
  );
  assert.match(
    a.options[0].text,
    /^auth\.mjs @ [0-9a-f]{8} runs by itself, within 500 ms and 128 MiB, before anything is forwarded/,
  );
  assert.is(a.outcome.kind, 'forwarded');
  assert.match(
    a.outcome.text,
    /^handler auth\.mjs @ [0-9a-f]{8} answers it, or its next\(\) does: it goes to http:\/\/10\.0\.0\.1/,
  );
  assert.is(a.upstream?.target, '/y');
  const b = await ask('http://b.test/');
  assert.equal([b.outcome.kind, b.outcome.ok, b.upstream, b.pool], ['answered', true, null, null]);
  assert.equal(
    b.options.map(({ option, effect }) => `${option} ${effect}`),
    ['access passes', 'handler answers', 'compress changes'],
  );
  const denied = await ask({ url: 'http://b.test/', from: '203.0.113.9' });
  assert.equal(denied.outcome.code, 'OO_FORBIDDEN_ADDRESS');
  assert.not.ok(denied.options.some(({ option }) => option === 'handler'));
  const c = await ask('http://c.test/');
  assert.equal([c.outcome.kind, c.outcome.ok], ['answered', true]);
  assert.match(c.outcome.text, /answers it; its next\(\) would get 503 OO_NO_INSTANCE/);
});

explaining('by the routes of another revision', async () => {
  const { ask, configuration, explain } = await explained({ routes: [{ ...app, http: 'allow' }] });
  await configuration.save([{ ...app, http: 'allow', target: 'http://10.0.0.2:3000' }], { actor: 'test' });
  assert.is((await ask('http://app.test/')).outcome.text, 'it goes to http://10.0.0.2:3000');
  const before = await ask({ url: 'http://app.test/', at: 3 });
  assert.equal([before.revision, before.outcome.text], [3, 'it goes to http://10.0.0.1:3000']);
  const never = await explain({ url: 'http://app.test/', at: 99 });
  assert.ok('error' in never && never.status === 404);
});

const refused: [body: object, words: RegExp][] = [
  [{}, /url is missing/],
  [{ url: 'ftp://x' }, /scheme is not http or https/],
  [{ url: 'x.test', method: 'A B' }, /method 'A B' is none/],
  [{ url: 'x.test', from: '10.0.0.0/8' }, /no address/],
  [{ url: 'x.test', from: 'here' }, /no address/],
  [{ url: 'x.test', headers: { 'a b': 'c' } }, /no name that a field can have/],
  [{ url: 'x.test', headers: 'a' }, /headers/],
  [{ url: 'x.test', at: -1 }, /at is/],
  [{ url: 'x.test', colour: 'red' }, /unknown field 'colour'/],
];
for (const [body, words] of refused) {
  explaining(`POST /v1/explain refuses ${JSON.stringify(body)}`, async () => {
    const { app } = await explained({});
    const answer = await app.request('/v1/explain', { method: 'POST', body: JSON.stringify(body) });
    assert.is(answer.status, 400);
    assert.match(((await answer.json()) as { error: string }).error, words);
  });
}

explaining(
  'POST /v1/explain answers 200 whatever becomes of the request, 404 for no such revision; it needs routes:read',
  async () => {
    const { app } = await explained({});
    const post = (body: object, caller?: object) =>
      app.request('/v1/explain', { method: 'POST', body: JSON.stringify(body) }, caller && { caller });
    const answer = await post({ url: 'http://nobody.test/' });
    assert.is(answer.status, 200);
    assert.ok(v.is(explanationWire, await answer.json()));
    assert.is((await post({ url: 'http://nobody.test/', at: 77 })).status, 404);
    const caller = { actor: 'token:x', from: '10.0.0.1', scopes: ['certs:read'] };
    assert.is((await post({ url: 'http://nobody.test/' }, caller)).status, 403);
    assert.is((await post({ url: 'http://nobody.test/' }, { ...caller, scopes: ['routes:read'] })).status, 200);
    assert.is((await app.request('/v1/explain')).status, 405);
  },
);

explaining('a dry run tells its impact; a change that is made does not', async () => {
  const head = { scheme: 'https', method: 'GET', host: 'app.test', path: '/api' } as const;
  const { app: api } = await explained({ routes: [app], heads: [head, head, { ...head, path: '/' }] });
  const put = async (query: string) => {
    const body = JSON.stringify({ routes: [{ id: 'app.test/api', target: 'http://10.0.0.2:3000' }] });
    const answer = await api.request(`/v1/routes${query}`, { method: 'PUT', body });
    return (await answer.json()) as { impact?: object };
  };
  assert.equal((await put('?dryRun=true')).impact, {
    ...{ requests: 3, retargeted: 2, altered: 0 },
    examples: [
      {
        method: 'GET',
        url: 'https://app.test/api',
        requests: 2,
        from: 'app.test → http://10.0.0.1:3000',
        to: 'app.test/api → http://10.0.0.2:3000',
      },
    ],
  });
  assert.is((await put('')).impact, undefined);
  const gone = await api.request('/v1/routes?dryRun=true', {
    method: 'DELETE',
    body: JSON.stringify({ ids: ['app.test'] }),
  });
  assert.is(((await gone.json()) as { impact: { retargeted: number } }).impact.retargeted, 1);
});

const word = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('app', '..', '%2F', '%', 'a b', '*'));
const anyRequest = fc.record(
  {
    url: fc
      .tuple(
        fc.constantFrom('', 'http://', 'https://', 'HTTP://', 'ftp://'),
        fc.oneof(anyAuthority, word),
        fc.oneof(anyPath, word),
        word,
      )
      .map(([scheme, host, path, rest]) => scheme + host + path + rest),
    method: fc.oneof(fc.constantFrom('GET', 'POST', 'OPTIONS', 'CONNECT'), word),
    headers: fc.dictionary(
      fc.oneof(
        fc.constantFrom('Host', 'cookie', 'connection', 'x-forwarded-for', 'authorization', 'origin', 'content-length'),
        word,
      ),
      fc.oneof(word, fc.array(word, { maxLength: 3 })),
      { maxKeys: 5 },
    ),
    from: fc.oneof(fc.constantFrom('10.0.0.1', '::1', '::ffff:10.0.0.1', '[::1]'), word),
    at: fc.oneof(fc.constant(3), fc.nat()),
  },
  { requiredKeys: ['url'] },
);

explaining('whatever is asked, an answer as the API says, or a refusal: for any table', () =>
  fc.assert(
    fc.asyncProperty(anyRoutes, fc.array(anyRequest, { maxLength: 6 }), async (list, requests) => {
      const options: Partial<Route>[] = [
        { http: 'allow', rollout: { gate: { state: 'paused', until: 9e15 } } },
        { http: 'allow', stripPrefix: '/app', cors: true, access: { deny: ['10.0.0.0/8'] } },
        { http: 'allow', balance: { policy: 'hash', by: 'cookie:a' }, compress: true },
        { redirect: 'https://www.test' },
      ];
      const routes = lastOfEach(list).map((route, i): Route => ({ ...route, ...options[i % (options.length + 1)] }));
      const { explain, configuration } = await explained({
        routes,
        server: { trustedProxies: ['10.0.0.0/8'], https: requests.length % 2 ? 443 : 0 },
      });
      assert.is(configuration.table.size, routes.length);
      for (const request of requests) {
        const told = await explain(request);
        if ('error' in told) assert.ok(told.error !== '' && told.hint !== '');
        else {
          assert.ok(v.is(explanationWire, told), JSON.stringify(told));
          assert.ok(explainText(told, false).split('\n').length > 3);
        }
      }
    }),
    { numRuns: 200 },
  ),
);

explaining.run();
