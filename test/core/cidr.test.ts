import net from 'node:net';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cidr, isWithin, parseCidr } from '../../src/core/cidr.ts';

const cidr = suite('cidr');

function within(range: string, address: string): boolean {
  const parsed = parseCidr(range);
  if (typeof parsed === 'string') throw new Error(parsed);
  return isWithin([parsed], address);
}

const cases: [range: string, address: string, is: boolean][] = [
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['192.168.1.128/25', '192.168.1.127', false],
  ['192.168.1.128/25', '192.168.1.128', true],
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['0.0.0.0/0', '8.8.8.8', true],
  ['0.0.0.0/0', '::1', false],
  ['::/0', '2001:db8::1', true],
  ['::1', '0:0:0:0:0:0:0:1', true],
  ['fd00::/8', 'fdff::1', true],
  ['fd00::/8', 'fe00::1', false],
  ['2001:db8::/33', '2001:db8:8000::', false],
  [' 10.0.0.1 ', '10.0.0.1', true],
  ['10.0.0.0/8', '', false],
  ['10.0.0.0/8', 'unix', false],
  ['10.0.0.0/8', '10.0.0', false],
];
for (const [range, address, is] of cases) {
  cidr(`${address || 'nothing'} is ${is ? '' : 'not '}within ${range}`, () => assert.is(within(range, address), is));
}

for (const text of [
  '',
  'a',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '10.0.0/8',
  '010.0.0.1',
  '256.0.0.1',
  '::1/129',
  '::g',
  '[::1]',
  ':',
  '1.2.3.4:80',
]) {
  cidr(`refuses '${text}'`, () => assert.match(String(parseCidr(text)), /expected one such as/));
}

cidr("agrees with node's own list", () => {
  const v4 = fc.tuple(fc.ipV4(), fc.nat(32), fc.ipV4(), fc.constant('ipv4' as const));
  const v6 = fc.tuple(fc.ipV6(), fc.nat(128), fc.ipV6(), fc.constant('ipv6' as const));
  fc.assert(
    fc.property(fc.oneof(v4, v6), fc.boolean(), ([range, bits, other, family], self) => {
      const address = self ? range : other;
      // A mapped address is IPv4 for us in ranges too, with IPv4's bits; node takes it as IPv6.
      if (/^(?:0*:)*:?(?:0*:)*ffff:/i.test(range) || /^(?:0*:)*:?(?:0*:)*ffff:/i.test(address)) return;
      const list = new net.BlockList();
      list.addSubnet(range, bits, family);
      assert.is(isWithin([parseCidr(`${range}/${bits}`) as Cidr], address), list.check(address, family));
    }),
    { numRuns: 2000 },
  );
});

cidr.run();
