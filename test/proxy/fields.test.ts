import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { keptFields, requestPlan, responsePlan } from '../../src/core/headers.ts';
import { ProxyClient } from '../../src/proxy/client.ts';
import { appendField, type Fields, hasField, headersOf, initOf, setField } from '../../src/proxy/fields.ts';

const fields = suite('fields as pairs');

fields('one is put in the place of another, or added behind it', () => {
  const all: Fields = [
    ['host', 'a'],
    ['via', '1.0 x'],
  ];
  setField(all, 'host', 'b');
  setField(all, 'accept', '*/*');
  appendField(all, 'via', '1.1 oo');
  appendField(all, 'x-real-ip', '192.0.2.1');
  assert.equal(all, [
    ['host', 'b'],
    ['via', '1.0 x, 1.1 oo'],
    ['accept', '*/*'],
    ['x-real-ip', '192.0.2.1'],
  ]);
  assert.equal([hasField(all, 'accept'), hasField(all, 'cookie')], [true, false]);
});

fields('each Set-Cookie stays one, also as Headers', () => {
  const from = new Headers([
    ['Set-Cookie', 'a=1'],
    ['Content-Type', 'text/plain'],
    ['Set-Cookie', 'b=2'],
  ]);
  const kept = keptFields(from, responsePlan);
  assert.equal(kept.filter(([name]) => name === 'set-cookie').length, 2);
  for (const made of [headersOf(kept), new Headers(initOf(kept))]) {
    assert.equal(made.getSetCookie(), ['a=1', 'b=2']);
    assert.is(made.get('content-type'), 'text/plain');
  }
});

fields('those that Connection names are left out, however it is written; Host and length never', () => {
  for (const connection of ['X-Mine', 'close,x-mine', 'Keep-Alive ,\tX-MINE\t, content-length, host']) {
    const from = new Headers({ connection, 'x-mine': '1', 'x-other': '2', host: 'a.test', 'content-length': '0' });
    const names = keptFields(from, requestPlan(false)).map(([name]) => name);
    assert.equal(names.sort(), ['content-length', 'host', 'x-other'], connection);
  }
});

fields('what the client says by our names goes, and Via goes on', () => {
  const headers = {
    'x-forwarded-for': '1.2.3.4',
    'x-real-ip': '1.2.3.4',
    via: '1.0 cache',
    a_b: '1',
    expect: '100-continue',
  };
  const request = new Request('http://app.test/', { headers });
  const client = new ProxyClient(request, new URL(request.url), 'id', '192.0.2.9', []);
  const sent = Object.fromEntries(client.fields());
  assert.equal(sent, {
    'x-forwarded-for': '192.0.2.9',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'app.test',
    'x-forwarded-port': '80',
    'x-real-ip': '192.0.2.9',
    via: '1.0 cache, 1.1 oo',
  });
});

fields.run();
