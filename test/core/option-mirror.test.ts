import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileMirror, describeMirror, isMirrored, type Mirror } from '../../src/core/option-mirror.ts';

const mirror = suite('option mirror');

function compiled(value: unknown): { mirror: Mirror | null; faults: string[] } {
  const faults: string[] = [];
  return { mirror: compileMirror(value, (message) => faults.push(message)), faults };
}

mirror('a text is short for the target', () => {
  const { mirror, faults } = compiled('http://10.0.0.9:3000/base');
  assert.equal(faults, []);
  assert.is(mirror!.target.href, 'http://10.0.0.9:3000/base');
  assert.is(mirror!.percent, 100);
  assert.is(mirror!.maxBodyBytes, 1024 * 1024);
  assert.is(
    describeMirror(mirror!),
    '100 % of requests are copied to http://10.0.0.9:3000/base, with bodies up to 1048576 bytes',
  );
  const given = compiled({ target: 'https://b.test', percent: 0.5, maxBodyBytes: 0 }).mirror!;
  assert.equal([given.target.tls, given.percent, given.maxBodyBytes], [true, 0.5, 0]);
});

const bad: [value: unknown, message: RegExp][] = [
  [7, /^mirror is '7'; expected an address/],
  ['', /^mirror.target is empty; expected/],
  [{}, /mirror has no target/],
  [{ target: 7 }, /^mirror.target is '7'; expected an address/],
  ['h2c://a', /expected http:\/\/ or https:\/\//],
  ['service://api', /unknown scheme 'service'/],
  ['http://u:p@a', /user name/],
  [{ target: 'http://a', percent: 101 }, /^mirror.percent is '101'; expected a number from 0 to 100/],
  [{ target: 'http://a', maxBodyBytes: 1e9 }, /^mirror.maxBodyBytes/],
  [{ target: 'http://a', every: 2 }, /^unknown field 'mirror.every'/],
];
for (const [value, message] of bad) {
  mirror(`refuses ${JSON.stringify(value)}`, () => {
    const { faults } = compiled(value);
    assert.is(faults.length, 1, faults.join('; '));
    assert.match(faults[0], message);
  });
}

mirror('percent: of chances', () => {
  const of = (percent: number) => compiled({ target: 'http://a', percent }).mirror!;
  assert.is(isMirrored(of(0), 0), false);
  assert.is(isMirrored(of(100), 0.999_999), true);
  assert.is(isMirrored(of(25), 0.249), true);
  assert.is(isMirrored(of(25), 0.25), false);
});

mirror.run();
