import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal, parseRegistration, slugFault } from '../../src/services/registration.ts';
import type { Registration } from '../../src/services/types.ts';

const registration = suite('registration');

const urls: [request: Registration, url: string][] = [
  [{ url: 'http://127.0.0.1:3000' }, 'http://127.0.0.1:3000'],
  [{ url: 'HTTP://LocalHost:3000/' }, 'http://localhost:3000'],
  [{ url: '127.0.0.1:3000' }, 'http://127.0.0.1:3000'],
  [{ url: 'http://app.local' }, 'http://app.local:80'],
  [{ url: 'https://app.local/base/' }, 'https://app.local:443/base'],
  [{ url: 'h2c://[::1]:50051' }, 'h2c://[::1]:50051'],
  [{ host: 'app.local', port: 8080 }, 'http://app.local:8080'],
  [{ scheme: 'https', host: 'app.local' }, 'https://app.local:443'],
  [{ ip: '10.0.0.2', port: 8080, path: 'base' }, 'http://10.0.0.2:8080/base'],
  [{ ip: '::1', port: 8080, path: '/base' }, 'http://[::1]:8080/base'],
  [{ host: 'app.local', ip: '10.0.0.2', port: 80 }, 'http://app.local:80'],
  [{ url: 'http://App.local:80', host: 'app.LOCAL', port: 80, scheme: 'http' }, 'http://app.local:80'],
];
for (const [request, url] of urls) {
  registration(`${JSON.stringify(request)} is ${url}`, () => {
    const parsed = parseRegistration('user-svc', request);
    assert.not(isRefusal(parsed), JSON.stringify(parsed));
    assert.is((parsed as { url: string }).url, url);
  });
}

const bad: [request: Registration, field: string, fault: RegExp][] = [
  [{}, 'ip', /empty/],
  [{ url: 'ftp://x' }, 'url', /unknown scheme/],
  [{ url: 'http://a b' }, 'url', /white space/],
  [{ url: 'http://user:pass@x' }, 'url', /password/],
  [{ url: `http://x/${'a'.repeat(3_000)}` }, 'url', /longer/],
  [{ url: 'http://a:1', port: 2 }, 'port', /otherwise than the url http:\/\/a:1/],
  [{ url: 'http://a:1', host: 'b' }, 'host', /otherwise/],
  [{ host: 'a', port: 70_000 }, 'host', /bad port/],
  [{ host: 'a/b', port: 5 }, 'host', /more than a host/],
  [{ host: 'http://a', port: 5 }, 'host', /more than a host/],
  [{ host: 'a', ip: 'b' }, 'ip', /not an address/],
  [{ url: 'http://a', id: 'x\ny' }, 'id', /no id/],
  [{ url: 'http://a', ttlSeconds: 1 }, 'ttlSeconds', /5 to 86400/],
  [{ url: 'http://a', ttlSeconds: Number.NaN }, 'ttlSeconds', /range/],
  [{ url: 'http://a', weight: 0 }, 'weight', /1 to 1000/],
  [{ url: 'http://a', weight: 1.5 }, 'weight', /whole/],
  [{ url: 'http://a', priority: -1 }, 'priority', /0 to 100/],
  [{ url: 'http://a', tags: Array(33).fill('x') }, 'tags', /up to 32/],
  [{ url: 'http://a', tags: ['a\u001b[2J'] }, 'tags', /no list/],
  [{ url: 'http://a', deploymentId: 'x\ny' }, 'deploymentId', /one line/],
];
for (const [request, field, fault] of bad) {
  registration(`${JSON.stringify(request).slice(0, 60)} is refused`, () => {
    const parsed = parseRegistration('user-svc', request);
    assert.ok(isRefusal(parsed), JSON.stringify(parsed));
    assert.is(parsed.field, field);
    assert.match(parsed.fault, fault);
    assert.ok(parsed.hint.length > 0);
  });
}

registration('an id is made of slug and url, in normal form', () => {
  const id = (slug: string, url: string) => (parseRegistration(slug, { url }) as { id: string }).id;
  assert.is(id('a', 'http://x:80'), id('a', 'HTTP://X/'));
  assert.is.not(id('a', 'http://x'), id('b', 'http://x'));
});

registration('slugs are path segments that need no escapes', () => {
  for (const slug of ['user-svc', 'a', '1']) assert.is(slugFault(slug), undefined);
  for (const slug of ['', 'User', '-a', 'a-', 'a/b', 'a.b', 'a'.repeat(64), undefined, 7]) assert.ok(slugFault(slug));
});

registration.run();
