import { hostname, networkInterfaces } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isLocalName, isOwnHost, reachable } from '../../src/services/own-address.ts';

const owns = suite('own address');

owns('loopback, wildcard, interfaces and the machine’s name are its own', () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list!.map(({ address }) => address));
  const names = [
    '127.0.0.1',
    '127.1.2.3',
    '::1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    'localhost',
    'LOCALHOST',
    'a.localhost',
  ];
  for (const host of [...names, hostname(), ...own]) assert.ok(isOwnHost(host), host);
  for (const host of ['192.0.2.1', '2001:db8::1', 'web.internal', 'notlocalhost', '128.0.0.1', '::ffff:192.0.2.1'])
    assert.not(isOwnHost(host), host);
});

owns('names of this machine', () => {
  assert.ok(isLocalName('localhost'));
  assert.ok(isLocalName('app.localhost'));
  assert.not(isLocalName('localhost.example.com'));
});

owns('addresses of a kind that this machine has none of are left out, unless there are no others', () => {
  assert.equal(reachable(['192.0.2.1', '192.0.2.2']), ['192.0.2.1', '192.0.2.2']);
  assert.equal(reachable(['127.0.0.1', '::1']), ['127.0.0.1', '::1']);
  assert.equal(reachable(['2001:db8::1']), ['2001:db8::1']);
  const has = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ family, internal, address }) => family === 'IPv6' && !internal && !address.startsWith('fe80:')),
  );
  assert.equal(reachable(['127.0.0.1', '2001:db8::1']).includes('2001:db8::1'), has);
});

owns.run();
