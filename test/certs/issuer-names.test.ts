import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { alpnServerName, type ChallengeType, identifierOf, nextWay, waysFor } from '../../src/certs/issuer-names.ts';
import { Nonces } from '../../src/certs/issuer-session.ts';
import { Turns } from '../../src/certs/issuer-turns.ts';
import { within } from '../helpers/wait.ts';

const all: ChallengeType[] = ['http-01', 'tls-alpn-01', 'dns-01'];
const names = suite('issuer: names and ways');

names('identifiers are of the type dns or ip, an address in one form', () => {
  assert.equal(identifierOf('*.example.com'), { type: 'dns', value: '*.example.com' });
  assert.equal(identifierOf('192.0.2.1'), { type: 'ip', value: '192.0.2.1' });
  assert.equal(identifierOf('2001:DB8:0::1'), { type: 'ip', value: '2001:db8::1' });
});

names('a wildcard goes by DNS only, an address never', () => {
  assert.equal(waysFor('*.example.com', all), ['dns-01']);
  assert.equal(waysFor('*.example.com', ['http-01']), []);
  assert.equal(waysFor('192.0.2.1', all), ['http-01', 'tls-alpn-01']);
  assert.equal(waysFor('::1', all), ['http-01', 'tls-alpn-01']);
  assert.equal(waysFor('example.com', ['tls-alpn-01', 'http-01']), ['tls-alpn-01', 'http-01']);
});

const table: [failed: Partial<Record<ChallengeType, string>>, worked: ChallengeType | undefined, next: string][] = [
  [{}, undefined, 'http-01'],
  [{}, 'tls-alpn-01', 'tls-alpn-01'],
  [{ 'http-01': 'connection' }, undefined, 'tls-alpn-01'],
  [{ 'http-01': 'connection' }, 'http-01', 'tls-alpn-01'],
  [{ 'http-01': 'connection', 'tls-alpn-01': 'tls' }, undefined, 'dns-01'],
  [{ 'http-01': 'dns' }, undefined, 'dns-01'],
  [{ 'dns-01': 'dns' }, undefined, 'http-01'],
  [{ 'http-01': 'caa' }, undefined, 'none'],
  [{ 'http-01': 'rateLimited' }, undefined, 'none'],
  [{ 'http-01': 'x', 'tls-alpn-01': 'x', 'dns-01': 'x' }, 'http-01', 'none'],
];
for (const [failed, worked, next] of table) {
  names(`after ${JSON.stringify(failed)}, with ${worked} having worked: ${next}`, () => {
    const tried = { failed: new Map(Object.entries(failed)) as Map<ChallengeType, string>, worked };
    assert.is(nextWay(all, all, tried) ?? 'none', next);
  });
}

names('only what the CA offers', () => {
  assert.is(nextWay(all, ['dns-01', 'device-attest-01'], { failed: new Map(), worked: 'http-01' }), 'dns-01');
  assert.is(nextWay(all, [], { failed: new Map(), worked: undefined }), undefined);
});

names("TLS-ALPN-01 asks for an address by its reverse name (RFC 8738 §6's examples)", () => {
  assert.is(alpnServerName('example.com'), 'example.com');
  assert.is(alpnServerName('192.0.2.1'), '1.2.0.192.in-addr.arpa');
  const zeros = '0.'.repeat(20);
  assert.is(alpnServerName('2001:db8::1'), `1.0.0.0.${zeros}8.b.d.0.1.0.0.2.ip6.arpa`);
  assert.is(
    alpnServerName('2001:db8:85a3:8d3:1319:8a2e:370:7348'),
    '8.4.3.7.0.7.3.0.e.2.a.8.9.1.3.1.3.d.8.0.3.a.5.8.8.b.d.0.1.0.0.2.ip6.arpa',
  );
  assert.is(alpnServerName('::1'), `1.${'0.'.repeat(31)}ip6.arpa`);
  assert.is(alpnServerName('2001:db8::'), `${'0.'.repeat(24)}8.b.d.0.1.0.0.2.ip6.arpa`);
});

const never = new AbortController().signal;

names('turns: one at a time for a name, others are free', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const end = await turns.take(['a', 'b'], never);
  const second = turns.take(['b'], never).then((done) => {
    order.push('second');
    done();
  });
  (await within(turns.take(['c'], never), 'a turn for another name'))();
  order.push('first ends');
  end();
  await within(second, 'the second turn');
  assert.equal(order, ['first ends', 'second']);
});

names('turns: names in any order do not wait for each other for ever', async () => {
  const turns = new Turns();
  const one = async (list: string[]) => (await turns.take(list, never))();
  const many = Array.from({ length: 20 }, (_, index) => one(index % 2 === 0 ? ['a', 'b', 'a'] : ['b', 'a']));
  await within(Promise.all(many), 'all turns');
});

names('turns: who gives up waiting does not let the next one in too early', async () => {
  const turns = new Turns();
  const end = await turns.take(['a'], never);
  const impatient = new AbortController();
  const gaveUp = turns.take(['a'], impatient.signal).catch((error) => error.message);
  let third = false;
  const next = turns.take(['a'], never).then((done) => {
    third = true;
    done();
  });
  impatient.abort(new Error('enough'));
  assert.is(await within(gaveUp, 'the one that gave up'), 'enough');
  assert.is(third, false);
  end();
  await within(next, 'the third');
});

names('nonces: the newest first, each once, none that is old, and a bounded number', () => {
  const nonces = new Nonces();
  assert.is(nonces.take(0), undefined);
  nonces.keep('a', 0);
  nonces.keep('b', 1_000);
  nonces.keep(undefined, 1_000);
  assert.equal([nonces.take(2_000), nonces.take(2_000), nonces.take(2_000)], ['b', 'a', undefined]);
  nonces.keep('c', 0);
  nonces.keep('d', 100_000);
  assert.equal([nonces.take(121_000), nonces.take(121_000)], ['d', undefined]);
  for (let index = 0; index < 1_000; index++) nonces.keep(`${index}`, 200_000);
  let count = 0;
  while (nonces.take(200_000) !== undefined) count++;
  assert.is(count, 64);
});

names.run();
