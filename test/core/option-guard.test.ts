import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cidr, isWithin, ownerOf, parseCidr } from '../../src/core/cidr.ts';
import { readCredentials } from '../../src/core/option-basic-auth.ts';
import { type CompiledOptions, compileOptions } from '../../src/core/option-compile.ts';
import {
  allowedOrigin,
  type CompiledCors,
  compileCors,
  corsFields,
  preflightFields,
} from '../../src/core/option-cors.ts';
import { decideGuard, type GuardedRequest, rateKey } from '../../src/core/option-guard.ts';
import { type CompiledRedirect, compileRedirect, locationOf } from '../../src/core/option-redirect.ts';
import type { RouteOptions } from '../../src/core/option-types.ts';
import { compileRoute } from '../../src/core/routes.ts';
import { parseScryptHash } from '../../src/core/scrypt-hash.ts';
import { random } from '../helpers/random.ts';

const guard = suite('guard options');

const hash = '$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const never = (message: string): never => {
  throw new Error(message);
};

/** What is said of a route's options. */
function faultsOf(options: Record<string, unknown>): string[] {
  const compiled = compileRoute({ id: 'a.test/old', target: 'http://127.0.0.1:1', ...options } as never);
  return Array.isArray(compiled) ? compiled.map(({ field, message }) => `${field}: ${message}`) : [];
}

/** Each value is refused with these words, in the name of its option. */
const refused: [options: Record<string, unknown>, expected: RegExp][] = [
  [{ maintenance: 3 }, /^maintenance: maintenance is '3'; expected true, false/],
  [{ maintenance: { allow: [] } }, /maintenance\.allow is an empty list; expected a list of 1 to/],
  [{ maintenance: { allow: ['10.0.0.0/33'] } }, /maintenance\.allow\[0\]: '10\.0\.0\.0\/33' is not an address/],
  [{ maintenance: { retryAfterSeconds: 0 } }, /retryAfterSeconds is '0'; expected a whole number/],
  [{ access: {} }, /access is empty; expected allow, deny or both/],
  [{ access: { alow: ['10.0.0.1'] } }, /unknown field 'access\.alow'/],
  [{ access: '10.0.0.1' }, /access is '10\.0\.0\.1'; expected a mapping/],
  [{ rateLimit: {} }, /rateLimit\.requests is missing/],
  [{ rateLimit: { requests: 0.5 } }, /rateLimit\.requests is '0\.5'; expected a whole number/],
  [{ rateLimit: { requests: 1, by: 'header:' } }, /rateLimit\.by is 'header:'; expected ip/],
  [{ rateLimit: { requests: 1, by: 'header:X-Forwarded-For' } }, /rateLimit\.by .* trusted proxies/],
  [{ cors: { origins: ['app.example.com'] } }, /cors\.origins is a list; expected a list of 1 to 200 origins/],
  [{ cors: { origins: ['https://a.test/'] } }, /cors\.origins/],
  [{ cors: { origins: ['https://*'] } }, /cors\.origins/],
  [{ cors: { origins: ['null'] } }, /cors\.origins/],
  [{ cors: { credentials: true } }, /cors\.credentials is true for any origin/],
  [{ cors: { methods: ['GET, X'] } }, /cors\.methods/],
  [{ basicAuth: {} }, /basicAuth\.users is missing/],
  [{ basicAuth: { users: {} } }, /basicAuth\.users is a mapping; expected a mapping of 1 to/],
  [{ basicAuth: { users: { 'a:b': hash } } }, /expected one without ':'/],
  [{ basicAuth: { users: { a: hash }, realm: 'a"b' } }, /basicAuth\.realm/],
  [{ basicAuth: { users: { a: hash }, relm: 'a' } }, /unknown field 'basicAuth\.relm'; expected one of realm, users/],
  [{ basicAuth: { users: { a: hash.replace('15', '30') } } }, /cost of ln=30,r=8,p=3; expected ln from 10 to 18/],
  [{ basicAuth: { users: { a: hash.replace('p=3', 'p=99') } } }, /cost/],
  [{ forwardAuth: 'ftp://a' }, /forwardAuth\.url is 'ftp:\/\/a'/],
  [{ forwardAuth: { url: 'http://user:pw@a/' } }, /forwardAuth\.url/],
  [{ forwardAuth: { url: 'http://a/', copyHeaders: ['Content-Length'] } }, /copyHeaders is a list; expected .* frames/],
  [{ forwardAuth: { url: 'http://a/', copyHeaders: ['X-Forwarded-For'] } }, /copyHeaders/],
  [{ forwardAuth: { url: 'http://a/', sendHeaders: ['a b'] } }, /sendHeaders/],
  [{ redirect: '//evil.example' }, /redirect\.to is '\/\/evil\.example'/],
  [{ redirect: '/\\evil.example' }, /redirect\.to/],
  [{ redirect: 'javascript:alert(1)' }, /redirect\.to/],
  [{ redirect: 'https://a@evil.example' }, /redirect\.to/],
  [{ redirect: 'https://a.test/\r\nX: y' }, /redirect\.to/],
  [{ redirect: '/old' }, /this very route/],
  [{ redirect: { to: '/new', status: 200 } }, /redirect\.status is '200'; expected 301/],
  [{ redirect: { to: '/new?a=b', keepPath: true } }, /query or a fragment/],
  [{ redirect: '/new', respond: 'x' }, /respond is given, and redirect as well/],
  [{ respond: { status: 199 } }, /respond\.status/],
  [{ respond: { status: 204, body: 'x' } }, /respond\.body is given with the status 204/],
  [{ respond: { headers: { 'X-A': 'a\r\nb: c' } } }, /respond\.headers\.X-A is 'a\?\?b: c'/],
  [{ respond: { headers: { 'Content-Length': '7' } } }, /Content-Length, which is the server's/],
  [{ respond: { headers: { 'X-A': 7 } } }, /respond\.headers\.X-A is '7'/],
  [{ respond: { contentType: 'a\nb' } }, /respond\.contentType/],
  [{ respond: { contentType: 'a/b', headers: { 'content-TYPE': 'c/d' } } }, /expected one of them/],
];

guard('what is wrong is said in the name of its option', () => {
  for (const [options, expected] of refused) {
    const faults = faultsOf(options);
    assert.is(faults.length, 1, `${JSON.stringify(options)}: ${faults.join(' | ')}`);
    assert.match(faults[0], expected);
  }
});

guard('a password in the place of a hash is never said back', () => {
  for (const value of ['hunter2', hash.slice(0, -30), '$2b$10$hunter2', `${hash} hunter2`, 7, null, ['hunter2']]) {
    const [fault, ...more] = faultsOf({ basicAuth: { users: { ann: value } } });
    assert.match(fault, /basicAuth\.users\['ann'\] is no hash of a password; expected what `oo hash` prints/);
    assert.not.match(fault, 'hunter2');
    assert.is(more.length, 0);
  }
  for (const value of ['hunter2', ['hunter2']])
    assert.not.match(faultsOf({ basicAuth: { users: value } })[0], 'hunter2');
  assert.not.match(faultsOf({ basicAuth: 'ann:hunter2' })[0], 'hunter2');
});

guard('without options nothing; a route that answers needs no target', () => {
  assert.is(compileOptions({}, '', never), null);
  for (const own of [{ redirect: 'https://a.test' }, { respond: '' }])
    assert.not.ok(Array.isArray(compileRoute({ id: 'b.test', ...own })));
  assert.ok(Array.isArray(compileRoute({ id: 'b.test', maintenance: true })));
  const off = compileOptions({ maintenance: false, cors: false }, '', never);
  assert.equal(off?.guards, []);
});

guard('whatever shape a value has, it does not throw', () => {
  const next = random(5);
  const names = ['maintenance', 'access', 'rateLimit', 'cors', 'basicAuth', 'forwardAuth', 'redirect', 'respond'];
  const inner = [
    ...['allow', 'deny', 'requests', 'perMs', 'burst', 'by', 'origins', 'methods', 'users', 'realm', 'url', 'to'],
    ...['status', 'keepPath', 'body', 'headers', 'contentType', 'copyHeaders', 'message', '__proto__', 'toString'],
  ];
  const odd = [
    null,
    undefined,
    0,
    -1,
    1.5,
    Number.NaN,
    '',
    ' ',
    '*',
    'x',
    true,
    false,
    [],
    {},
    [null],
    [[]],
    Symbol.iterator,
  ];
  const value = (depth: number): unknown => {
    const kind = next();
    if (depth > 2 || kind < 0.5) return odd[Math.floor(next() * odd.length)];
    if (kind < 0.65) return Array.from({ length: next() * 4 }, () => value(depth + 1));
    return Object.fromEntries(
      Array.from({ length: next() * 4 }, () => [inner[Math.floor(next() * inner.length)], value(depth + 1)]),
    );
  };
  for (let i = 0; i < 20_000; i++) {
    const options = Object.fromEntries(names.filter(() => next() < 0.3).map((name) => [name, value(0)]));
    let faults = 0;
    const compiled = compileOptions(options as RouteOptions, '/x', () => faults++);
    if (faults > 0 || compiled === null) continue;
    for (const name of compiled.guards) decideGuard(compiled, name, asking({}), () => 0);
  }
});

// ---- decisions

/** A request with these fields. */
function asking(fields: Record<string, string>, more: Partial<GuardedRequest> = {}): GuardedRequest {
  return { method: 'GET', path: '/', query: '', address: '10.0.0.1', field: (name) => fields[name] ?? '', ...more };
}

const compiled = (options: RouteOptions): CompiledOptions => compileOptions(options, '', never) as CompiledOptions;

guard('whose address it is', () => {
  assert.is(ownerOf('10.0.0.1'), ownerOf('::ffff:10.0.0.1'));
  assert.is(ownerOf('2001:db8::1'), ownerOf('2001:db8:0:0:ffff::2'));
  assert.is.not(ownerOf('2001:db8::1'), ownerOf('2001:db8:0:1::1'));
  assert.ok(ownerOf('x'.repeat(1_000)).length <= 64);
  const within = (text: string, address: string) => isWithin([parseCidr(text) as Cidr], address);
  assert.ok(within(ownerOf('2001:db8:a:b:c::1'), '2001:db8:a:b:ffff::9'));
});

guard('keys of one kind are never those of another, and long ones differ by their ends', () => {
  const { rateLimit } = compiled({ rateLimit: { requests: 1, by: 'header:authorization' } });
  const key = (value: string) => rateKey(rateLimit!, asking({ authorization: value }));
  assert.is.not(key('10.0.0.1'), key(''));
  const same = 'eyJhbGciOiJIUzI1NiJ9.'.repeat(20);
  assert.is.not(key(`${same}a`), key(`${same}b`));
  assert.ok(key('x'.repeat(10_000)).length < 200);
});

guard('origins: as they are, by wildcard, any', () => {
  const cors = (origins?: string[], more = {}) => compileCors({ origins, ...more }, never) as CompiledCors;
  const some = cors(['https://app.example.com', 'https://*.b.test', 'http://localhost:3000', 'HTTPS://UP.test:443']);
  for (const good of [
    'https://app.example.com',
    'https://x.b.test',
    'https://x.y.b.test',
    'http://localhost:3000',
    'https://up.test',
  ])
    assert.is(allowedOrigin(some, good), good);
  const bad = [
    '',
    'null',
    'http://app.example.com',
    'https://app.example.com.evil',
    'https://b.test',
    'https://evil/.b.test',
    'https://.b.test',
  ];
  for (const origin of [
    ...bad,
    'https://evil@x.b.test',
    'https://xb.test',
    'http://localhost:3001',
    `https://${'x'.repeat(999)}.b.test`,
  ])
    assert.is(allowedOrigin(some, origin), undefined, origin);
  assert.equal(corsFields(some, 'https://evil.test'), [['Vary', 'Origin']]);
  assert.equal(corsFields(cors(), 'https://evil.test'), [['Access-Control-Allow-Origin', '*']]);
  assert.equal(
    corsFields(cors(['https://a.test'], { credentials: true, exposeHeaders: ['X-A', 'X-B'] }), 'https://a.test'),
    [
      ['Access-Control-Allow-Origin', 'https://a.test'],
      ['Access-Control-Allow-Credentials', 'true'],
      ['Access-Control-Expose-Headers', 'X-A, X-B'],
      ['Vary', 'Origin'],
    ],
  );
  const asked = (headers: string) =>
    preflightFields(cors(), 'https://a.test', headers).find(([name]) => /Allow-Headers/.test(name))?.[1];
  assert.is(asked('x-a, x-b'), 'x-a, x-b');
  for (const odd of ['x-a\r\nEvil: 1', 'x a', ',', 'x'.repeat(5_000)]) assert.is(asked(odd), undefined);
});

guard('a preflight is an OPTIONS with both fields, and nothing else', () => {
  const options = compiled({ cors: true });
  const decide = (fields: Record<string, string>, method = 'OPTIONS') =>
    decideGuard(options, 'cors', asking(fields, { method }), () => 0);
  const both = { origin: 'https://a.test', 'access-control-request-method': 'PUT' };
  assert.is(decide(both)?.kind, 'reply');
  assert.is(decide(both, 'GET'), null);
  assert.is(decide({ origin: 'https://a.test' }), null);
  assert.is(decide({ 'access-control-request-method': 'PUT' }), null);
});

guard('where a redirect leads is always on the host of its target', () => {
  const next = random(9);
  const pieces = [
    '/',
    '//',
    '\\',
    '.',
    '..',
    '@',
    ':',
    'evil.example',
    'https:',
    '%2f',
    '%5c',
    '?',
    '#',
    'a',
    '\t',
    '"',
    "'",
    '<',
  ];
  const prefixes = ['', '/old', '/old/deep'];
  const targets = [
    'https://www.a.test',
    'https://www.a.test/',
    'https://www.a.test/base',
    'https://www.a.test:8443/base/',
    '/',
    '/new',
    '/new/',
  ];
  for (let i = 0; i < 20_000; i++) {
    const prefix = prefixes[i % 3];
    const to = targets[Math.floor(next() * targets.length)];
    const redirect = compileRedirect(
      { to, keepPath: true },
      prefix,
      prefix === '' && to === '/' ? () => {} : never,
    ) as CompiledRedirect;
    const rest = Array.from({ length: next() * 6 }, () => pieces[Math.floor(next() * pieces.length)]).join('');
    const path = `${prefix}/${rest.replace(/[?#].*/s, '')}`;
    const location = locationOf(redirect, path, next() < 0.5 ? `?x=${rest}` : '');
    const base = 'https://here.test/some/where';
    const led = new URL(location, base);
    assert.is(led.host, new URL(to, base).host, `${to} + ${path} → ${location}`);
    assert.is(led.protocol, 'https:');
    assert.match(location, /^[!#-;=?-[\]_a-z~]*$/i);
  }
});

guard('credentials as they are sent', () => {
  const of = (text: string) => readCredentials(`Basic ${Buffer.from(text).toString('base64')}`);
  assert.equal(of('a:b:c'), { user: 'a', password: 'b:c' });
  assert.equal(of('a:'), { user: 'a', password: '' });
  assert.is(of(':b'), undefined);
  assert.is(of('ab'), undefined);
  assert.equal(of('u\u0308:o\u0308'), { user: 'ü', password: 'ö' });
  for (const odd of [
    '',
    'Basic',
    'Basic ',
    'Basic a b',
    'Digest x',
    'Basic =',
    'Basic YTpi!',
    `Basic ${'YTpi'.repeat(1_000)}`,
  ])
    assert.is(readCredentials(odd), undefined, odd.slice(0, 20));
});

guard('an unknown user is compared with nobody; so is one whose name every object has', () => {
  const cheap = hash.replace('ln=15', 'ln=12');
  const options = compiled({ basicAuth: { users: { cheap, ann: hash } } });
  for (const user of ['eve', '__proto__', 'constructor', 'toString']) {
    const authorization = `Basic ${Buffer.from(`${user}:x`).toString('base64')}`;
    const step = decideGuard(options, 'basicAuth', asking({ authorization }), () => 0);
    assert.is(step?.kind, 'password');
    if (step?.kind !== 'password') continue;
    assert.is(step.known.text, '');
    const { n, r, p } = step.known.hash;
    assert.equal([n, r, p], [2 ** 15, 8, 3]);
  }
});

guard('hashes in PHC form', () => {
  const parsed = parseScryptHash(hash);
  assert.ok(typeof parsed !== 'string');
  assert.equal([parsed.n, parsed.r, parsed.p, parsed.salt.length, parsed.hash.length], [32_768, 8, 3, 16, 32]);
  for (const odd of [
    hash.replace('$scrypt', '$argon2id'),
    `${hash}=`,
    hash.replace('ln=15,r=8', 'r=8,ln=15'),
    hash.replace('AA$', 'A$'),
    `${hash}\n`,
  ])
    assert.type(parseScryptHash(odd), 'string', odd);
});

guard.run();
