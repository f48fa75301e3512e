import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAdminApp } from '../../src/admin/app.ts';
import { certificateId } from '../../src/admin/certs.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { memoryCertificates, secretKey, seedRows, somePem } from '../helpers/memory-certificates.ts';
import { memoryStore } from '../helpers/memory-store.ts';

const certs = suite('admin: certificates over HTTP');

async function start(memory = memoryCertificates()) {
  const configuration = await createConfiguration({ store: memoryStore([]), publish: async () => {} });
  const faults: Error[] = [];
  const onError = (error: Error) => void faults.push(error);
  const admin = createAdminApp({ configuration, certificates: memory, version: '1', onError });
  async function call(method: string, path: string, body?: unknown) {
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    const response = await admin.request(path, { method, body: text });
    const answer = await response.text();
    const headers = response.headers;
    // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
    return { status: response.status, headers, text: answer, body: parsed(answer) as any };
  }
  return { call, memory, faults };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

certs("the seed's POST lists: the last updated first, all fields, never a key", async () => {
  const { call } = await start();
  for (const body of [undefined, '', {}, { ids: [] }]) {
    const { status, body: answer, text } = await call('POST', '/proxy-svc/certs', body);
    assert.is(status, 200);
    assert.equal(answer, { certs: seedRows });
    assert.not.match(text, 'PRIVATE');
  }
  const fields = Object.keys(seedRows[0]);
  for (const field of [
    ...['id', 'createdAt', 'updatedAt', 'notBefore', 'notAfter', 'commonName', 'dnsNames', 'issuer'],
    ...['serialNumber', 'isCA', 'signatureAlgorithm', 'publicKeyAlgorithm', 'publicKeyBitLength', 'cert'],
  ])
    assert.ok(fields.includes(field), field);
  const chosen = await call('POST', '/proxy-svc/certs', { ids: ['API.singulatron.com', 'zz', 'not a name'] });
  assert.equal(chosen.body, { certs: [seedRows[1]] });
  assert.equal((await call('GET', '/v1/certs')).body, { certs: seedRows, waiting: [] });
  assert.equal((await call('GET', '/v1/certs?id=acme_account%2Bkey')).body, { certs: [seedRows[2]] });
});

certs("the seed's PUT saves: chain and key in one text, all or none", async () => {
  const { call, memory } = await start();
  const pair = { id: 'Own.example.com.', cert: somePem + secretKey };
  const saved = await call('PUT', '/proxy-svc/certs', { certs: [pair] });
  assert.equal([saved.status, saved.body], [200, {}]);
  assert.equal(memory.saved, [{ id: 'own.example.com', cert: somePem + secretKey }]);
  const refused = await call('PUT', '/proxy-svc/certs', { certs: [pair, { id: 'b', cert: 'x' }] });
  assert.equal([refused.status, refused.body.code], [400, 'OO_BAD_CERTIFICATE']);
  assert.is(memory.saved.length, 1);
  const badName = await call('PUT', '/proxy-svc/certs', { certs: [pair, { id: 'a/b', cert: somePem }] });
  assert.equal([badName.status, badName.body.code], [400, 'OO_BAD_NAME']);
  assert.is(memory.saved.length, 1);
});

certs('/v1/certs/NAME: get, put, delete', async () => {
  const { call, memory } = await start();
  memory.details.set('singulatron.com', { routes: ['singulatron.com/app'] });
  const got = await call('GET', '/v1/certs/SINGULATRON.com');
  assert.equal([got.status, got.body.id, got.body.certificate], [200, 'singulatron.com', seedRows[0]]);
  const put = await call('PUT', '/v1/certs/%2A.own.test', { cert: somePem, key: secretKey, chain: somePem });
  assert.equal([put.status, put.body.id, put.body.source], [200, '*.own.test', 'saved']);
  assert.equal(memory.saved, [{ id: '*.own.test', cert: somePem, key: secretKey, chain: somePem }]);
  assert.not.match(put.text, 'PRIVATE');
  const removed = await call('DELETE', '/v1/certs/singulatron.com');
  assert.equal(removed.body, { removed: 'singulatron.com', routes: ['singulatron.com/app'] });
  for (const method of ['GET', 'DELETE']) {
    const { status, body } = await call(method, '/v1/certs/not.there');
    assert.equal([status, body.code], [404, 'OO_NO_CERTIFICATE']);
    assert.ok(body.hint);
  }
  const bad = await call('GET', `/v1/certs/${encodeURIComponent('a\u001b[2Jb')}`);
  assert.equal([bad.status, bad.body.code, bad.body.error], [400, 'OO_BAD_NAME', "'a?[2Jb' names no certificate."]);
});

certs('raw: the key only where it is asked for by its name', async () => {
  const { call } = await start();
  for (const query of ['', '?withKey=false', '?withKey=1']) {
    const { body, headers } = await call('GET', `/v1/certs/singulatron.com/raw${query}`);
    assert.equal(body, { chain: somePem });
    assert.is(headers.get('cache-control'), 'no-store');
  }
  const misspelt = await call('GET', '/v1/certs/singulatron.com/raw?withkey=true');
  assert.equal([misspelt.status, misspelt.body.hint], [400, 'Did you mean withKey?']);
  const { body } = await call('GET', '/v1/certs/singulatron.com/raw?withKey=true');
  assert.equal(body, { chain: somePem, key: secretKey });
  assert.is((await call('GET', '/v1/certs/zz/raw')).status, 404);
});

const step = { at: '2025-01-01T00:00:00.000Z', step: 'order', detail: 'for a.test' };
const failure = {
  at: '2025-01-01T00:00:01.000Z',
  step: 'authorization',
  directory: 'https://ca.test/dir',
  message: 'The CA found no A record.',
  hint: 'Add one.',
  problem: 'dns',
};

certs('renew: 202 at once, or followed step by step', async () => {
  const { call, memory } = await start();
  const outcome = { certificate: seedRows[0] };
  memory.renewals.set('a.test', { steps: [step, { ...step, step: 'finalize' }], outcome });
  const begun = await call('POST', '/v1/certs/A.test/renew');
  assert.equal([begun.status, begun.body], [202, { id: 'a.test' }]);
  const { status, headers, text } = await call('POST', '/v1/certs/a.test/renew?wait=true');
  assert.equal([status, headers.get('content-type')], [200, 'application/x-ndjson']);
  const lines = text.split('\n').filter(Boolean).map(parsed);
  assert.equal(lines, [{ step }, { step: { ...step, step: 'finalize' } }, { outcome }]);
});

certs('renew: a failure is an outcome; a fault of the program tells nothing but where to look', async () => {
  const { call, memory, faults } = await start();
  memory.renewals.set('a.test', { steps: [], outcome: { failure, nextTryAt: null } });
  const failed = await call('POST', '/v1/certs/a.test/renew?wait=true');
  assert.equal(parsed(failed.text), { outcome: { failure, nextTryAt: null } });
  const fault = new TypeError('secret');
  memory.renewals.set('a.test', { steps: [], outcome: fault });
  const broken = await call('POST', '/v1/certs/a.test/renew?wait=true');
  assert.is((parsed(broken.text) as { code: string }).code, 'OO_INTERNAL');
  assert.not.match(broken.text, 'secret');
  await call('POST', '/v1/certs/a.test/renew');
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal(faults, [fault, fault]);
  const store = Object.assign(new Error('The disk is full.'), { code: 'OO_STORE_FULL', hint: 'Free some.' });
  memory.renewals.set('a.test', { steps: [], outcome: store });
  const full = await call('POST', '/v1/certs/a.test/renew?wait=true');
  assert.equal(parsed(full.text), { error: 'The disk is full.', code: 'OO_STORE_FULL', hint: 'Free some.' });
});

certs('renew: an unknown name has a status of its own, also where it is followed', async () => {
  const { call } = await start();
  for (const query of ['', '?wait=true']) {
    const { status, body } = await call('POST', `/v1/certs/zz.test/renew${query}`);
    assert.equal([status, body.code], [404, 'OO_NO_CERTIFICATE'], query);
  }
});

certs('renew: who leaves early stops nothing', async () => {
  const memory = memoryCertificates();
  const configuration = await createConfiguration({ store: memoryStore([]), publish: async () => {} });
  const faults: Error[] = [];
  const admin = createAdminApp({
    configuration,
    certificates: memory,
    version: '1',
    onError: (error) => faults.push(error),
  });
  let end = (_: { certificate: (typeof seedRows)[0] }) => {};
  let told = (_: typeof step) => {};
  memory.renew = async (_id, onStep) => {
    told = onStep;
    return {
      done: new Promise((resolve) => {
        end = resolve;
      }),
    };
  };
  const response = await admin.request('/v1/certs/a.test/renew?wait=true', { method: 'POST' });
  await response.body?.cancel();
  told(step);
  end({ certificate: seedRows[0] });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(faults, []);
});

certs('check, the key, the root', async () => {
  const { call, memory } = await start();
  const line = { what: 'DNS', ok: false, message: 'no address', hint: 'Add an A record.' };
  memory.checks.set('a.test', [line]);
  assert.equal((await call('GET', '/v1/certs/a.test/check')).body, { lines: [line] });
  assert.equal((await call('POST', '/v1/keys/rotate')).body, { rows: 3, message: 'The key is in oo.key.' });
  await call('POST', '/v1/keys/rotate', { newKey: 'k' });
  assert.equal(memory.newKeys, [undefined, 'k']);
  assert.equal((await call('GET', '/v1/trust/root')).body, memory.root);
});

certs('bodies that are no good: 400, and a secret is not said back', async () => {
  const { call, memory } = await start();
  for (const [method, path, body, error] of [
    ['PUT', '/proxy-svc/certs', '', /^The body is empty\.$/],
    ['PUT', '/proxy-svc/certs', {}, /^certs is missing; expected a list$/],
    ['PUT', '/proxy-svc/certs', { certs: [{ id: 'a' }] }, /^certs\.0\.cert is missing; expected a text$/],
    ['PUT', '/v1/certs/a', { cert: 5 }, /^cert is 5; expected a text$/],
    ['PUT', '/v1/certs/a', { cert: 'x', more: 1 }, /^unknown field 'more'$/],
    ['PUT', '/v1/certs/a', `{"key":"${secretKey}`, /^The body is not JSON\.$/],
    ['POST', '/v1/keys/rotate', '{"newKey":"SECRET" x', /^The body is not JSON\.$/],
    ['POST', '/v1/keys/rotate', { key: 'SECRET' }, /^unknown field 'key'$/],
  ] as const) {
    const answer = await call(method, path, body);
    assert.is(answer.status, 400, path);
    assert.match(answer.body.error, error);
    assert.not.match(answer.text, 'SECRET');
    assert.not.match(answer.text, 'U0VDUkVU');
  }
  assert.equal([memory.saved, memory.newKeys], [[], []]);
});

certs('other methods: 405 with Allow', async () => {
  const { call } = await start();
  for (const [method, path, allow] of [
    ['DELETE', '/proxy-svc/certs', 'PUT, POST'],
    ['POST', '/v1/certs/a.test', 'GET, HEAD, PUT, DELETE'],
    ['GET', '/v1/certs/a.test/renew', 'POST'],
    ['GET', '/v1/keys/rotate', 'POST'],
    ['POST', '/v1/trust/root', 'GET, HEAD'],
  ]) {
    const { status, headers, body } = await call(method, path);
    assert.equal([status, headers.get('allow'), body.code], [405, allow, 'OO_METHOD_REFUSED'], path);
  }
});

certs("rotate: a key that is no good is the caller's fault", async () => {
  const { call, memory } = await start();
  memory.failure = Object.assign(new Error('Too short.'), { code: 'OO_STORE_KEY', hint: 'Longer.' });
  const { status, body } = await call('POST', '/v1/keys/rotate', { newKey: 'x' });
  assert.is(status, 400);
  assert.equal([body.error, body.code, body.hint], ['Too short.', 'OO_STORE_KEY', 'Longer.']);
});

certs('a store that fails: 503 with its hint', async () => {
  const { call, memory } = await start();
  const hint = 'Give the key that they were written with.';
  memory.failure = Object.assign(new Error('The key does not fit.'), { code: 'OO_STORE_KEY', hint });
  const { status, body } = await call('GET', '/v1/certs');
  assert.equal([status, body.code, body.error], [503, 'OO_STORE_KEY', 'The key does not fit.']);
  assert.ok(body.hint.startsWith(hint));
});

certs('ids in normal form', () => {
  for (const [given, id] of [
    ['Example.COM.', 'example.com'],
    ['*.Example.com', '*.example.com'],
    ['example.com+RSA', 'example.com+rsa'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['192.0.2.1', '192.0.2.1'],
    ['[2001:DB8::1]', '2001:db8::1'],
    ['2001:db8:0::1', '2001:db8::1'],
    ['2001:db8::1+rsa', '2001:db8::1+rsa'],
    ['acme_account+key', 'acme_account+key'],
    ['*', undefined],
    ['', undefined],
    ['a/b', undefined],
    ['a/', undefined],
    ['a:80', undefined],
    ['a b', undefined],
    ['a\n', undefined],
    ['../x', undefined],
    ['https://a', undefined],
    ['a+key', undefined],
  ] as const)
    assert.is(certificateId(given), id, given);
});

certs.run();
