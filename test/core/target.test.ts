import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseTarget } from '../../src/core/target.ts';

const target = suite('target');

const good: [text: string, href: string, authority: string, hostname: string, basePath: string][] = [
  ['127.0.0.1:4200', 'http://127.0.0.1:4200', '127.0.0.1:4200', '127.0.0.1', ''],
  ['localhost:3000', 'http://localhost:3000', 'localhost:3000', 'localhost', ''],
  ['app', 'http://app:80', 'app', 'app', ''],
  ['http://App.Example.com.', 'http://app.example.com:80', 'app.example.com', 'app.example.com', ''],
  ['HTTP://a:80/', 'http://a:80', 'a', 'a', ''],
  ['https://a', 'https://a:443', 'a', 'a', ''],
  ['https://a:80', 'https://a:80', 'a:80', 'a', ''],
  ['http://a:443', 'http://a:443', 'a:443', 'a', ''],
  ['http://[::1]:3000', 'http://[::1]:3000', '[::1]:3000', '::1', ''],
  ['[0:0:0:0:0:0:0:1]', 'http://[::1]:80', '[::1]', '::1', ''],
  ['http://my_app:1', 'http://my_app:1', 'my_app:1', 'my_app', ''],
  ['http://bücher.example/', 'http://xn--bcher-kva.example:80', 'xn--bcher-kva.example', 'xn--bcher-kva.example', ''],
  ['http://a/base', 'http://a:80/base', 'a', 'a', '/base'],
  ['a:8080/base/two/', 'http://a:8080/base/two', 'a:8080', 'a', '/base/two'],
  ['http://a/caf%C3%A9', 'http://a:80/caf%C3%A9', 'a', 'a', '/caf%C3%A9'],
  ['http://a/café', 'http://a:80/caf%C3%A9', 'a', 'a', '/caf%C3%A9'],
  ['h2c://a', 'h2c://a:80', 'a', 'a', ''],
  ['H2C://a:50051/base', 'h2c://a:50051/base', 'a:50051', 'a', '/base'],
  ['http://a:65535', 'http://a:65535', 'a:65535', 'a', ''],
];

for (const [text, href, authority, hostname, basePath] of good) {
  target(`parses ${text}`, () => {
    const parsed = parseTarget(text);
    if (typeof parsed === 'string') throw new Error(parsed);
    assert.is(parsed.href, href);
    assert.is(parsed.authority, authority);
    assert.is(parsed.hostname, hostname);
    assert.is(parsed.basePath, basePath);
    assert.is(parsed.tls, href.startsWith('https'));
    assert.is(parsed.http2, href.startsWith('h2c'));
    assert.is(parsed.port, Number(/:(\d+)(?:\/|$)/.exec(href.slice(6))?.[1]));
    assert.ok(Object.isFrozen(parsed));
  });
}

const bad: [text: string, expected: RegExp][] = [
  ['', /is empty; expected an address/],
  ['service://user-svc', /unknown scheme 'service'; expected http:\/\/, https:\/\/ or h2c:\/\//],
  ['h2://a', /unknown scheme 'h2'/],
  ['h2c://', /has no host/],
  ['ftp://a', /unknown scheme 'ftp'/],
  ['http://', /has no host/],
  ['http:///x', /has no host/],
  [':3000', /has no host/],
  ['http://a:0', /bad port; expected 1 to 65535/],
  ['http://a:', /bad port/],
  ['http://a:65536', /bad port/],
  ['http://a:+80', /bad port/],
  ['http://a:8e1', /bad port/],
  ['mailto:someone', /bad port/],
  ['http://user@a', /user name/],
  ['http://user:pass@a:80', /user name/],
  ['http://a/?x=1', /query/],
  ['http://a?x', /query/],
  ['http://a/#top', /fragment/],
  ['http://a b', /white space/],
  ['http://a\r\nHost: b', /white space or a control/],
  ['http://a\u0000', /white space or a control/],
  ['http://a/x y', /white space/],
  ['http://a/../b', /expected a plain path/],
  ['http://a/%2e%2e/b', /expected a plain path/],
  ['http://a/b%2fc', /expected a plain path/],
  ['http://a//b', /expected a plain path/],
  ['http://a/b\\c', /expected a plain path/],
  ['http://a\\b', /expected a plain path/],
  ['http://a/%zz', /expected a plain path/],
  ['http://a..b', /no valid host/],
  ['http://a%41', /no valid host/],
  ['http://*.a', /no valid host/],
  ['http://1.2.3', /no valid host/],
  ['http://0x7f.1', /no valid host/],
  ['http://[::1', /no valid host|bad port|brackets/],
  ['http://[::g]', /no valid host/],
  ['http://[fe80::1%25eth0]', /no valid host/],
  ['::1:3000', /no host|brackets/],
  ['fe80::1', /brackets/],
  ['http://fe80::1:80', /brackets/],
];

for (const [text, expected] of bad) {
  target(`refuses ${JSON.stringify(text)}`, () => {
    const fault = parseTarget(text);
    assert.type(fault, 'string', `was taken: ${JSON.stringify(fault)}`);
    assert.match(fault as string, expected);
  });
}

target('refuses what is not text, as files may hold it', () => {
  assert.type(parseTarget(3000 as unknown as string), 'string');
  assert.type(parseTarget(undefined as unknown as string), 'string');
});

target.run();
