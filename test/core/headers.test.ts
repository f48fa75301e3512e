import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Forwarding,
  forwardedFields,
  forwardedLines,
  plainIp,
  requestPlan,
  responsePlan,
} from '../../src/core/headers.ts';
import type { FieldPlan } from '../../src/core/types.ts';

const client: Forwarding = { clientIp: '192.0.2.7', scheme: 'http', host: 'App.test:8080', port: 8080 };
const trusted: Forwarding = { ...client, clientIp: '10.0.0.9', trusted: true };

/** What a transport does with a field under a plan. */
function isDropped(plan: FieldPlan, name: string): boolean {
  const lower = name.toLowerCase();
  if (!plan.keepUnderscores && lower.includes('_')) return true;
  return (
    [...plan.drop, ...plan.capture].includes(lower) || plan.dropPrefixes.some((prefix) => lower.startsWith(prefix))
  );
}

const plans = suite('header plan');

const hopByHop = [
  'Connection',
  'Keep-Alive',
  'TE',
  'Upgrade',
  'Proxy-Connection',
  'Proxy-Authorization',
  'Proxy-Authenticate',
];
const endToEnd = [
  'Accept',
  'Authorization',
  'Cookie',
  'Set-Cookie',
  'Via',
  'Trailer',
  'Expect',
  'Date',
  'X-Request-Id',
  'Host',
];

for (const name of hopByHop) {
  plans(`${name} ends here, both ways`, () => {
    for (const plan of [requestPlan(false), requestPlan(true), responsePlan]) assert.ok(isDropped(plan, name));
  });
}

for (const name of endToEnd) {
  plans(`${name} is sent on, both ways`, () => {
    for (const plan of [requestPlan(false), requestPlan(true), responsePlan]) assert.not(isDropped(plan, name));
  });
}

const claims = ['X-Forwarded-For', 'x-forwarded-proto', 'X-FORWARDED-HOST', 'X-Forwarded-Port', 'X-Real-IP'];
for (const name of [...claims, 'Forwarded', 'X-Forwarded-Server', 'X-Forwarded-Client-Cert']) {
  plans(`${name} of an untrusted peer ends here, and is not even looked at`, () => {
    assert.ok(isDropped(requestPlan(false), name));
    assert.equal(requestPlan(false).capture, []);
  });
}

plans('a trusted peer: what we write anew is captured, the rest of what it says is sent on', () => {
  for (const name of claims) assert.ok(requestPlan(true).capture.includes(name.toLowerCase()));
  for (const name of ['Forwarded', 'X-Forwarded-Prefix']) assert.not(isDropped(requestPlan(true), name));
});

plans('names with an underscore end here in requests', () => {
  for (const name of ['X_Forwarded_Proto', 'X_Auth_User']) {
    assert.ok(isDropped(requestPlan(false), name));
    assert.ok(isDropped(requestPlan(true), name));
    assert.not(isDropped(responsePlan, name));
  }
});

plans('Proxy and HTTP2-Settings end here in requests, Proxy-Status is sent on in responses', () => {
  assert.ok(isDropped(requestPlan(false), 'Proxy') && isDropped(requestPlan(true), 'HTTP2-Settings'));
  assert.not(isDropped(responsePlan, 'Proxy-Status'));
});

plans('framing is none of its business', () => {
  for (const plan of [requestPlan(false), requestPlan(true), responsePlan]) {
    for (const name of ['host', 'content-length', 'transfer-encoding']) assert.not(isDropped(plan, name));
  }
});

plans.run();

const forwarding = suite('forwarded fields');

forwarding('lines for a client that is not trusted', () => {
  assert.is(
    forwardedLines(client),
    'X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: App.test:8080\r\nX-Forwarded-Port: 8080\r\nX-Real-IP: 192.0.2.7\r\nVia: 1.1 oo\r\n',
  );
});

forwarding('an untrusted peer is not heard, even if something was captured', () => {
  const prior = {
    'x-forwarded-for': '1.1.1.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.test',
    'x-real-ip': '1.1.1.1',
  };
  assert.is(forwardedLines({ ...client, prior }), forwardedLines(client));
  assert.is(forwardedLines({ ...client, trusted: false, prior }), forwardedLines(client));
});

forwarding('IPv4 mapped into IPv6 is written as IPv4, IPv6 without brackets', () => {
  assert.is(plainIp('::ffff:192.0.2.7'), '192.0.2.7');
  assert.is(plainIp('::FFFF:192.0.2.7'), '192.0.2.7');
  assert.is(plainIp('2001:db8::1'), '2001:db8::1');
  assert.is(plainIp('::ffff:c000:207'), '::ffff:c000:207');
  assert.match(forwardedLines({ ...client, clientIp: '::ffff:192.0.2.7' }), /^X-Forwarded-For: 192\.0\.2\.7\r\n/);
  assert.match(forwardedLines({ ...client, clientIp: '2001:db8::1' }), /\r\nX-Real-IP: 2001:db8::1\r\n/);
});

/** By name, as one trusted proxy's words come out. */
function from(prior: Record<string, string>, more: Partial<Forwarding> = {}): Record<string, string> {
  return Object.fromEntries(forwardedFields({ ...trusted, ...more, prior }));
}

forwarding('a trusted proxy that says nothing counts as the client', () => {
  assert.is(forwardedLines({ ...trusted, prior: {} }), forwardedLines({ ...trusted, trusted: false }));
  assert.is(forwardedLines(trusted), forwardedLines({ ...trusted, trusted: false }));
});

forwarding('a trusted proxy’s chain is appended to; the client is what that proxy saw', () => {
  const fields = from({ 'x-forwarded-for': '203.0.113.1 ,198.51.100.2' });
  assert.is(fields['X-Forwarded-For'], '203.0.113.1, 198.51.100.2, 10.0.0.9');
  assert.is(fields['X-Real-IP'], '198.51.100.2');
  assert.is(from({ 'x-forwarded-for': '203.0.113.1', 'x-real-ip': '203.0.113.8' })['X-Real-IP'], '203.0.113.8');
  assert.is(from({ 'x-forwarded-for': 'unknown' })['X-Real-IP'], '10.0.0.9');
  assert.is(from({ 'x-real-ip': 'nonsense' })['X-Real-IP'], '10.0.0.9');
  assert.is(from({ 'x-forwarded-for': '2001:db8::1' })['X-Real-IP'], '2001:db8::1');
  assert.is(from({ 'x-forwarded-for': ' , ,' })['X-Forwarded-For'], '10.0.0.9');
});

forwarding('scheme, host and port of a trusted proxy are kept if they are valid', () => {
  const fields = from({ 'x-forwarded-proto': 'HTTPS', 'x-forwarded-host': 'Shop.test', 'x-forwarded-port': '8443' });
  assert.equal(
    [fields['X-Forwarded-Proto'], fields['X-Forwarded-Host'], fields['X-Forwarded-Port']],
    ['https', 'Shop.test', '8443'],
  );
  const bad = from({ 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'a@b', 'x-forwarded-port': '99999' });
  assert.equal(
    [bad['X-Forwarded-Proto'], bad['X-Forwarded-Host'], bad['X-Forwarded-Port']],
    ['http', 'App.test:8080', '8080'],
  );
  assert.is(from({ 'x-forwarded-proto': 'https, http' })['X-Forwarded-Proto'], 'https');
});

forwarding('without a port of its own, what the trusted proxy says of scheme and host decides', () => {
  assert.is(from({ 'x-forwarded-proto': 'https' })['X-Forwarded-Port'], '443');
  assert.is(from({ 'x-forwarded-proto': 'http' }, { scheme: 'https', port: 8443 })['X-Forwarded-Port'], '80');
  assert.is(from({ 'x-forwarded-proto': 'http' })['X-Forwarded-Port'], '8080');
  assert.is(from({ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.test:444' })['X-Forwarded-Port'], '444');
});

forwarding('no value ever ends a line (attack 27)', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('a\r\nX-Evil: 1', 'a\nb', '\u0000', '1.1.1.1\r\n', 'é', '\u010a'));
  fc.assert(
    fc.property(text, text, text, text, text, fc.boolean(), (clientIp, host, chain, proto, real, isTrusted) => {
      const prior = {
        'x-forwarded-for': chain,
        'x-forwarded-proto': proto,
        'x-forwarded-host': host,
        'x-real-ip': real,
      };
      const given: Forwarding = { clientIp, scheme: 'http', host, port: 80, trusted: isTrusted, prior };
      const lines = forwardedLines(given);
      assert.match(lines, /^(?:(?:X-Forwarded-(?:For|Proto|Host|Port)|X-Real-IP|Via): [\t\x20-\x7e]+\r\n)+$/);
      assert.is(
        lines,
        forwardedFields(given)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join(''),
      );
    }),
    { numRuns: 2000 },
  );
});

forwarding('what is not known is left out', () => {
  const fields = Object.fromEntries(forwardedFields({ ...client, clientIp: '', host: '' }));
  assert.equal(fields, { 'X-Forwarded-Proto': 'http', 'X-Forwarded-Port': '8080', Via: '1.1 oo' });
});

forwarding.run();
