import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServedCertificate } from '../../src/certs/types.ts';
import { CertificateTable } from '../../src/edge/certificates.ts';
import { ChallengeTable } from '../../src/edge/challenges.ts';
import { tickets } from '../../src/edge/tls-tickets.ts';
import { makeServed } from '../helpers/certificate.ts';

const certificates = suite('certificates of an edge');

const real = makeServed(['real.test']);

/** Only looked up, never served. */
function named(id: string, ...names: string[]): ServedCertificate {
  return { id, names: names.length > 0 ? names : [id.replace('+rsa', '')], chain: real.chain, key: real.key };
}

function tableOf(...all: ServedCertificate[]) {
  const broken: string[] = [];
  const table = new CertificateTable((id, why) => broken.push(`${id}: ${why}`));
  table.save(all);
  return {
    table,
    broken,
    find: (name?: string, local?: string, ecdsa?: boolean) => table.find(name, local, ecdsa)?.id,
  };
}

certificates('exact before wildcard; a wildcard is one label', () => {
  const { find } = tableOf(named('a.example.com'), named('*.example.com'), named('other.test'));
  for (const [name, want] of [
    ['a.example.com', 'a.example.com'],
    ['b.example.com', '*.example.com'],
    ['x.b.example.com', undefined],
    ['example.com', undefined],
    ['other.test', 'other.test'],
    ['evilother.test', undefined],
  ] as const)
    assert.is(find(name), want, name);
});

certificates('39: names in any form', () => {
  const { find } = tableOf(named('a.example.com'), named('*.example.com'), named('192.0.2.1'), named('2001:db8::1'));
  for (const [name, want] of [
    ['A.EXAMPLE.com', 'a.example.com'],
    ['a.example.com.', 'a.example.com'],
    ['B.Example.COM.', '*.example.com'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['', undefined],
    ['.', undefined],
    ['a.example.com..', undefined],
    ['.example.com', undefined],
    ['*.example.com', undefined],
    ['a.example.com\0', undefined],
    ['a\0.example.com', undefined],
    ['a.example.com:443', undefined],
    ['a b.example.com', undefined],
    ['\xfc.example.com', undefined],
    ['__proto__', undefined],
    ['constructor', undefined],
    [`${'a'.repeat(63)}.example.com`, '*.example.com'],
    [`${'a'.repeat(64)}.example.com`, undefined],
    ['a'.repeat(255), undefined],
    [`${'a.'.repeat(127)}a`, undefined],
  ] as const)
    assert.is(find(name), want, JSON.stringify(name));
});

certificates('no name: the address that was reached, else the only one that there is', () => {
  const one = tableOf(named('a.test'), named('192.0.2.1'), named('127.0.0.1'), named('::1'));
  assert.is(one.find(undefined, '192.0.2.1'), '192.0.2.1');
  assert.is(one.find(undefined, '::ffff:192.0.2.1'), '192.0.2.1');
  assert.is(one.find(undefined, '127.0.0.1'), '127.0.0.1');
  assert.is(one.find(undefined, '::1'), '::1');
  assert.is(one.find(undefined, '10.0.0.1'), '192.0.2.1');
  const two = tableOf(named('a.test'), named('192.0.2.1'), named('192.0.2.2'));
  assert.is(two.find(undefined, '192.0.2.2'), '192.0.2.2');
  assert.is(two.find(undefined, '10.0.0.1'), undefined);
  two.table.remove(['192.0.2.1']);
  assert.is(two.find(undefined, '10.0.0.1'), '192.0.2.2');
  assert.is(tableOf(named('a.test')).find(undefined, '10.0.0.1'), undefined);
  assert.is(tableOf(named('a.test'), named('127.0.0.1')).find(undefined, '10.0.0.1'), undefined);
  assert.is(tableOf().find(undefined, ''), undefined);
});

certificates('RSA for who can verify nothing else', () => {
  const both = tableOf(named('a.test'), named('a.test+rsa'));
  assert.is(both.find('a.test', '', true), 'a.test');
  assert.is(both.find('a.test', '', false), 'a.test+rsa');
  const one = tableOf(named('a.test+rsa'));
  assert.is(one.find('a.test', '', true), 'a.test+rsa');
  assert.is(tableOf(named('a.test')).find('a.test', '', false), 'a.test');
});

certificates('of several for a name: its own, then the last', () => {
  const { table, find } = tableOf(named('shared', 'a.test', 'b.test'), named('a.test'), named('later', 'b.test'));
  assert.is(find('a.test'), 'a.test');
  assert.is(find('b.test'), 'later');
  table.remove(['a.test', 'nobody']);
  assert.is(find('a.test'), 'shared');
  table.save([named('later', 'c.test')]);
  assert.is(find('b.test'), 'shared');
  assert.is(find('c.test'), 'later');
});

certificates('what a certificate covers', () => {
  const { table } = tableOf(named('shared', 'a.test', '*.b.test', '192.0.2.1', '2001:db8::1'));
  const entry = table.find('a.test')!;
  for (const [host, want] of [
    ['a.test', true],
    ['x.b.test', true],
    ['192.0.2.1', true],
    ['[2001:db8::1]', true],
    ['b.test', false],
    ['x.y.b.test', false],
    ['x.a.test', false],
    ['2.0.2.1', false],
  ] as const)
    assert.is(entry.covers(host), want, host);
});

certificates('PEM that is none: told once, another serves; a mended one works', () => {
  const { table, broken, find } = tableOf(real, { ...named('real.test+rsa'), chain: 'nonsense' });
  const bad = table.find('real.test', '', false)!;
  assert.is(bad.id, 'real.test+rsa');
  assert.is(table.contextOf(bad), undefined);
  assert.is(broken.length, 1);
  assert.match(broken[0], /^real\.test\+rsa: \S/);
  assert.is(find('real.test', '', false), 'real.test');
  assert.ok(table.contextOf(table.find('real.test')!));
  const other = makeServed(['other.test']);
  table.save([{ ...real, key: other.key }]);
  const mixed = table.find('real.test')!;
  assert.is(table.contextOf(mixed), undefined);
  assert.is(find('real.test'), undefined);
  table.save([real]);
  assert.ok(table.contextOf(table.find('real.test')!));
});

certificates('contexts are made once, kept in bounds, and made again for another key of tickets', () => {
  const { table } = tableOf();
  const many = Array.from({ length: 600 }, (_, i) => named(`n${i}.test`));
  table.save([real, ...many]);
  const first = table.contextOf(table.find('real.test')!);
  assert.is(table.contextOf(table.find('real.test')!), first);
  for (const { id } of many) {
    assert.ok(table.contextOf(table.find(id)!));
    // In use all the time: it stays.
    assert.is(table.contextOf(table.find('real.test')!), first);
  }
  const forgotten = table.contextOf(table.find('n0.test')!);
  assert.is(table.contextOf(table.find('n0.test')!), forgotten);
  const keys = [Buffer.alloc(48, 1), Buffer.alloc(48, 2)];
  table.setTicketKeys(keys);
  const renewed = table.contextOf(table.find('real.test')!);
  assert.is.not(renewed, first);
  table.setTicketKeys([keys[0], Buffer.alloc(48, 3)]);
  assert.is(table.contextOf(table.find('real.test')!), renewed);
});

certificates('clients with a ticket of ours get a context that opens all of them, where there is a way', () => {
  const { table } = tableOf(real);
  const [entry, keys] = [table.find('real.test')!, [1, 2].map((value) => Buffer.alloc(48, value))];
  const [newest, older] = keys.map((key) => key.toString('hex', 0, 16));
  table.setTicketKeys([...keys, Buffer.alloc(47, 4)]);
  const plain = table.contextOf(entry);
  assert.is(table.contextOf(entry, [older]), plain);
  const opened: Buffer[][] = [];
  tickets.open = (_context, known) => opened.push([...known()]);
  try {
    const resuming = table.contextOf(entry, [older]);
    assert.is.not(resuming, plain);
    assert.equal(opened, [keys]);
    assert.is(table.contextOf(entry, ['00'.repeat(16), newest]), resuming);
    assert.is(table.contextOf(entry, ['04'.repeat(16)]), plain);
    assert.is(table.contextOf(entry), plain);
    // Without a usable key the present ones stay.
    table.setTicketKeys([Buffer.alloc(3)]);
    assert.is(table.contextOf(entry, [older]), resuming);
    assert.is(table.contextOf(entry), plain);
    table.save([real]);
    assert.is.not(table.contextOf(table.find('real.test')!, [older]), resuming);
  } finally {
    tickets.open = null;
  }
});

certificates('challenges', () => {
  const table = new ChallengeTable();
  const { chain, key } = real;
  table.save([
    { type: 'http-01', name: 'a.test', token: 'tok', content: 'tok.print' },
    { type: 'tls-alpn-01', name: 'a.test', token: 'tok2', chain, key },
    { type: 'tls-alpn-01', name: 'bad.test', token: 'tok3', chain: 'x', key: 'y' },
  ]);
  assert.is(table.httpAnswer('tok'), 'tok.print');
  assert.is(table.httpAnswer('tok2'), undefined);
  assert.is(table.httpAnswer('../tok'), undefined);
  const context = table.alpn('a.test');
  assert.ok(context);
  assert.is(table.alpn('a.test'), context);
  assert.is(table.alpn('bad.test'), undefined);
  assert.is(table.alpn('b.test'), undefined);
  table.remove(['http-01 tok', 'tls-alpn-01 a.test', 'nothing']);
  assert.is(table.httpAnswer('tok'), undefined);
  assert.is(table.alpn('a.test'), undefined);
});

certificates.run();
