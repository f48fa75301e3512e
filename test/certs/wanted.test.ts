import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Certificate } from '../../src/certs/types.ts';
import { isLocalName, standsInUntil, type WantedSettings, wantedCertificates } from '../../src/certs/wanted.ts';
import type { Route } from '../../src/core/types.ts';
import { fakeCertificate } from '../helpers/fake-issuer.ts';
import { routesOf } from '../helpers/manage.ts';

const wanted = suite('wanted certificates');
const day = 86_400_000;
const now = Date.UTC(2026, 10, 23);

const on: WantedSettings = { keyType: 'ecdsa', acme: true, local: true, wildcards: false, onDemand: false };
const want = (
  routes: readonly (string | Partial<Route>)[],
  settings: Partial<WantedSettings> = {},
  own: Certificate[] = [],
) => wantedCertificates(routesOf(routes), own, { ...on, ...settings }, now);
/** `id: names (issuer, key)`, sorted. */
const told = (...args: Parameters<typeof want>) =>
  [...want(...args).wanted.values()].map(({ id, names, by, keyType }) => `${id}: ${names} (${by}, ${keyType})`).sort();
const ids = (...args: Parameters<typeof want>) => [...want(...args).wanted.keys()].sort();

wanted('one a host: alone, with a path, with a port; each once', () => {
  const routes = [
    'a.example.com',
    'a.example.com/x',
    'B.example.com/only/path',
    'c.example.com:8443',
    'C.example.com.',
  ];
  assert.equal(ids(routes), ['a.example.com', 'b.example.com', 'c.example.com']);
  assert.equal(want(routes).wanted.get('a.example.com')?.routes, ['a.example.com', 'a.example.com/x']);
});

wanted('the kind of key is the route’s, else the server’s; both stand side by side', () => {
  const routes = [{ id: 'a.example.com', keyType: 'rsa' as const }, 'b.example.com'];
  assert.equal(told(routes), [
    'a.example.com+rsa: a.example.com (acme, rsa)',
    'b.example.com: b.example.com (acme, ecdsa)',
  ]);
  assert.equal(ids(routes, { keyType: 'rsa' }), ['a.example.com+rsa', 'b.example.com+rsa']);
  const both = [
    { id: 'a.example.com/x', keyType: 'rsa' as const },
    { id: 'a.example.com/y', keyType: 'ecdsa' as const },
  ];
  assert.equal(ids(both), ['a.example.com', 'a.example.com+rsa']);
});

wanted('several names in one only where routes ask for the same', () => {
  const routes = [
    { id: 'b.example.com', certificate: 'shop' },
    { id: 'a.example.com/x', certificate: 'shop' },
    'a.example.com/y',
    'c.example.com',
  ];
  assert.equal(told(routes), [
    'c.example.com: c.example.com (acme, ecdsa)',
    'shop: a.example.com,b.example.com (acme, ecdsa)',
  ]);
});

wanted('a shared one that is called as one of its hosts has that as common name', () => {
  const routes = [
    { id: 'a.example.com', certificate: 'z.example.com' },
    { id: 'z.example.com', certificate: 'z.example.com', keyType: 'rsa' as const },
  ];
  assert.equal(told(routes), ['z.example.com: z.example.com,a.example.com (acme, rsa)']);
});

wanted('a host with the id of a shared one joins it: neither is lost', () => {
  for (const routes of [
    [{ id: 'a.example.com', certificate: 'z.example.com' }, 'z.example.com'],
    ['z.example.com', { id: 'a.example.com', certificate: 'z.example.com' }],
  ])
    assert.equal(told(routes), ['z.example.com: z.example.com,a.example.com (acme, ecdsa)']);
});

wanted('the local CA’s own id is nobody’s', () => {
  assert.equal(ids([{ id: 'a.example.com', certificate: 'local_ca' }]), ['a.example.com']);
});

wanted('local names in a shared one get their own beside public ones', () => {
  const routes = [
    { id: 'a.example.com', certificate: 'all' },
    { id: 'a.test', certificate: 'all' },
  ];
  assert.equal(told(routes), ['a.test: a.test (local, ecdsa)', 'all: a.example.com (acme, ecdsa)']);
  const allLocal = [
    { id: 'b.test', certificate: 'all' },
    { id: 'a.test', certificate: 'all' },
  ];
  assert.equal(told(allLocal), ['all: a.test,b.test (local, ecdsa)']);
});

for (const name of [
  'localhost',
  'a.localhost',
  'x.test',
  'a.b.test',
  'db.internal',
  'nas.local',
  'a.home.arpa',
  'intranet',
  '*.x.test',
  '*.test',
])
  wanted(`${name} is local`, () => assert.ok(isLocalName(name)));
for (const ip of [
  '127.0.0.1',
  '127.255.0.9',
  '::1',
  '10.1.2.3',
  '192.168.0.1',
  '172.31.0.1',
  '169.254.1.1',
  '100.64.0.1',
  'fd00::1',
  'fe80::1',
])
  wanted(`${ip} is local`, () => assert.ok(isLocalName(ip)));
for (const name of [
  'example.com',
  'test.com',
  'mytest',
  'localhost.com',
  'internal.example',
  '*.example.com',
  '8.8.8.8',
  '172.32.0.1',
  '100.128.0.1',
  '2001:db8::1',
  '192.0.2.1',
])
  wanted(`${name} is ${name === 'mytest' ? 'local' : 'public'}`, () => assert.is(isLocalName(name), name === 'mytest'));

wanted('addresses: public ones by ACME, IPv6 without brackets; others locally', () => {
  assert.equal(told(['192.0.2.1', '[2001:DB8:0::1]', '127.0.0.1', '[::1]']), [
    '127.0.0.1: 127.0.0.1 (local, ecdsa)',
    '192.0.2.1: 192.0.2.1 (acme, ecdsa)',
    '2001:db8::1: 2001:db8::1 (acme, ecdsa)',
    '::1: ::1 (local, ecdsa)',
  ]);
});

wanted('a wildcard by DNS-01, else at the first visit, else it is said why not', () => {
  assert.equal(told(['*.example.com'], { wildcards: true }), ['*.example.com: *.example.com (acme, ecdsa)']);
  assert.equal(
    [ids(['*.example.com'], { onDemand: true }), want(['*.example.com'], { onDemand: true }).unmet],
    [[], []],
  );
  const { unmet, wanted } = want(['*.example.com/x']);
  assert.is(wanted.size, 0);
  assert.equal([unmet[0].name, unmet[0].routes], ['*.example.com', ['*.example.com/x']]);
  assert.match(unmet[0].reason, /DNS-01/);
  assert.match(unmet[0].hint, /--acme-dns-hook .*oo cert save '\*\.example\.com'.*--on-demand-ask/);
});

wanted('* gets none by itself', () => {
  assert.match(want(['*']).unmet[0].hint, /--on-demand-ask/);
  assert.equal(want(['*'], { onDemand: true }).unmet, []);
  assert.is(want(['*'], { wildcards: true, onDemand: true }).wanted.size, 0);
});

wanted('a local wildcard is made; right under a top-level name only where hosts can’t get theirs', () => {
  assert.equal(told(['*.app.test']), ['*.app.test: *.app.test (local, ecdsa)']);
  assert.equal(ids(['*.test']), ['*.test']);
  assert.equal(ids(['*.test'], { onDemand: true }), []);
});

wanted('without ACME, and without a local CA, it is said what to do', () => {
  const { wanted, unmet } = want(['a.example.com', 'a.test'], { acme: false, local: false });
  assert.is(wanted.size, 0);
  assert.match(unmet[0].hint, /oo cert save a\.example\.com --cert FILE --key FILE/);
  assert.match(unmet[1].reason, /local HTTPS is off/);
  assert.equal(ids(['a.example.com', 'a.test'], { acme: false }), ['a.test']);
});

wanted('nothing for what a person’s own certificate covers, until shortly before it expires', () => {
  const own = (over: Partial<Certificate>) => fakeCertificate({ id: 'own', now, source: 'saved', ...over });
  const routes = ['a.example.com', 'b.example.com', 'x.a.example.com', 'example.com'];
  const names = ['a.example.com'];
  assert.equal(ids(routes, {}, [own({ names })]), ['b.example.com', 'example.com', 'x.a.example.com']);
  assert.equal(ids(routes, {}, [own({ names: ['*.example.com'] })]), ['example.com', 'x.a.example.com']);
  assert.equal(ids(['*.example.com'], {}, [own({ names: ['*.example.com'] })]), []);
  const soon = own({ names, notBefore: now - 89 * day, notAfter: now + day });
  assert.is(standsInUntil(soon), now);
  assert.ok(ids(routes, {}, [soon]).includes('a.example.com'));
  const short = own({ names, notBefore: now - 50_000, notAfter: now + 10_000 });
  assert.not(ids(routes, {}, [short]).includes('a.example.com'));
  assert.ok(ids(routes, {}, [own({ names, source: 'acme' })]).includes('a.example.com'), 'others are not looked at');
});

wanted('on demand: for hosts that only a wildcard or * serves', () => {
  const { mayOnDemand } = want(['a.example.com', '*.example.com'], { onDemand: true });
  assert.equal(['b.example.com', 'a.example.com', 'b.c.example.com', 'example.com'].map(mayOnDemand), [
    true,
    false,
    false,
    false,
  ]);
  const any = want(['a.example.com', '*'], { onDemand: true });
  assert.equal(['b.example.org', 'a.example.com'].map(any.mayOnDemand), [true, false]);
});

wanted('ids that are no route’s are passed over', () => {
  assert.equal(ids(['http://x/', '', 'a.example.com']), ['a.example.com']);
});

wanted.run();
