import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { formatRouteId, normalizeAuthority, parseRouteId } from '../../src/core/host.ts';

const authority = suite('authority');

const good: [authority: string, host: string, port: number][] = [
  ['app.test', 'app.test', 0],
  ['APP.Test.', 'app.test', 0],
  ['app.test:8080', 'app.test', 8080],
  ['app.test.:8080', 'app.test', 8080],
  ['app.test:', 'app.test', 0],
  ['app.test:443', 'app.test', 443],
  ['localhost', 'localhost', 0],
  ['my_app-1.localhost', 'my_app-1.localhost', 0],
  ['127.0.0.1', '127.0.0.1', 0],
  ['127.0.0.1.:80', '127.0.0.1', 80],
  ['[::1]', '[::1]', 0],
  ['[0:0:0:0:0:0:0:1]:80', '[::1]', 80],
  ['[2001:DB8::A]', '[2001:db8::a]', 0],
  ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', 0],
  ['1.2.3.4.example', '1.2.3.4.example', 0],
  ['v1', 'v1', 0],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example', 0],
];
for (const [text, host, port] of good) {
  authority(`takes ${text}`, () => assert.equal(normalizeAuthority(text), { host, port }));
}

const bad = [
  ...[
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a..',
    ':80',
    'a:0',
    'a:65536',
    'a:8o',
    'a:+1',
    'a:1:2',
    'a: 80',
    'a:-1',
    'a:080808',
  ],
  ...[
    'a@b',
    'a/b',
    'a,b',
    'a b',
    'a\tb',
    'a\u0000',
    'a\r\n',
    'a%41',
    'a?b',
    'a#b',
    'a\\b',
    'a*',
    '*',
    '*.a',
    'a;b',
    'a[b',
    "a'b",
  ],
  ...[
    'bücher.example',
    '\u212Aelvin.test',
    'a\u3002b',
    '::1',
    '[::1',
    '::1]',
    '[]',
    '[:]',
    '[::1]x',
    '[::1]]',
    '[1.2.3.4]',
  ],
  ...['[fe80::1%25eth0]', '[fe80::1%eth0]', '[v1.a]', '[::1]:0', '[1:2:3:4:5:6:7:8:9]', '[::1::]'],
  ...['127.1', '0x7f.0.0.1', '0177.0.0.1', '2130706433', '1.2.3.256', '1.2.3.04', 'a.1', 'a.0x1'],
  ...['x'.repeat(64), Array(64).fill('abc').join('.')],
];
for (const text of bad) {
  authority(`refuses ${JSON.stringify(text)}`, () => assert.is(normalizeAuthority(text), undefined));
}

authority('what it takes, it takes again in normal form', () => {
  const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,10}$/);
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
  fc.assert(
    fc.property(
      fc.oneof(
        name,
        fc.ipV4(),
        fc.ipV6().map((ip) => `[${ip}]`),
      ),
      fc.nat(65_535),
      (host, port) => {
        const first = normalizeAuthority(port === 0 ? host : `${host}:${port}`);
        if (first === undefined) return;
        assert.is(first.port, port);
        assert.equal(normalizeAuthority(first.host), { host: first.host, port: 0 });
      },
    ),
  );
});

authority('agrees with the URL parser on every host that both take', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z0-9._:[\]-]{1,20}$/), (text) => {
      const ours = normalizeAuthority(text);
      if (ours === undefined || ours.host.includes('xn--')) return;
      assert.is(new URL(`http://${text}/`).hostname.replace(/\.$/, ''), ours.host);
    }),
    { numRuns: 2000 },
  );
});

authority.run();

const routeId = suite('route id');

const ids: [id: string, normal: string][] = [
  ['app.test', 'app.test'],
  ['APP.test.', 'app.test'],
  ['app.test/', 'app.test'],
  ['app.test:8080', 'app.test:8080'],
  ['app.test:8080/', 'app.test:8080'],
  ['app.test/App', 'app.test/App'],
  ['app.test/app/admin/', 'app.test/app/admin'],
  ["app.test/a-._~!$&'()*+,=:@b", "app.test/a-._~!$&'()*+,=:@b"],
  ['app.test/.well-known', 'app.test/.well-known'],
  ['app.test/...', 'app.test/...'],
  ['*.example.com', '*.example.com'],
  ['*.EXAMPLE.com:8443/x', '*.example.com:8443/x'],
  ['*', '*'],
  ['*/', '*'],
  ['*/api', '*/api'],
  ['*:8080', '*:8080'],
  ['*:8080/api', '*:8080/api'],
  ['127.0.0.1', '127.0.0.1'],
  ['127.0.0.1/x', '127.0.0.1/x'],
  ['[::1]', '[::1]'],
  ['::1', '[::1]'],
  ['::1/x', '[::1]/x'],
  ['[0:0:0:0:0:0:0:1]:8080', '[::1]:8080'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['*.Bücher.example:80/x', '*.xn--bcher-kva.example:80/x'],
  ['app.test/@user', 'app.test/@user'],
];
for (const [id, normal] of ids) {
  routeId(`reads ${id}`, () => {
    const parsed = parseRouteId(id);
    if (typeof parsed === 'string') throw new Error(parsed);
    assert.is(formatRouteId(parsed), normal);
    assert.equal(parseRouteId(normal), parsed);
  });
}

const badIds: [id: string, expected: RegExp][] = [
  ['', /expected a host/],
  ['/', /no valid host/],
  ['/app', /no valid host/],
  ['http://app.test', /has a scheme/],
  ['app.test?x', /no valid host|query/],
  ['app.test/x?y', /query/],
  ['app.test/x#y', /fragment/],
  ['user@app.test', /user name/],
  ['app.test/a b', /white space/],
  ['app.test\r\n', /white space/],
  ['app.test/a/../b', /'\.\.' segment/],
  ['app.test/.', /'\.\.' segment/],
  ['app.test/..', /'\.\.' segment/],
  ['app.test//', /empty path segment/],
  ['app.test//x', /empty path segment/],
  ['app.test/x//', /empty path segment/],
  ['app.test/a%2Fb', /character/],
  ['app.test/a%20b', /character/],
  ['app.test/a;b', /character/],
  ['app.test/a\\b', /character/],
  ['app.test/café', /character/],
  ['a.*.test', /'\*' in another place/],
  ['*x.test', /'\*' in another place/],
  ['*.*.test', /'\*' in another place/],
  ['**', /'\*' in another place/],
  ['*.', /no valid host/],
  ['*.127.0.0.1', /'\*\.' before an address/],
  ['*.[::1]', /'\*\.' before an address/],
  ['app.test:0', /bad port/],
  ['app.test:http', /bad port/],
  ['*:0', /bad port/],
  ['app..test', /no valid host/],
  ['app.test,b.test', /no valid host/],
  ['127.1', /no valid host/],
];
for (const [id, expected] of badIds) {
  routeId(`refuses ${JSON.stringify(id)}`, () => {
    const fault = parseRouteId(id);
    assert.type(fault, 'string', `was taken: ${JSON.stringify(fault)}`);
    assert.match(fault as string, expected);
  });
}

routeId.run();
