import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SharedMap } from '../../src/core/shared-map.ts';

const sharing = suite('shared map');

// Enough for leaves to split twice, and past what the tests of the table reach.
const count = 20_000;

function filled(owner: object): SharedMap<number> {
  let map = new SharedMap<number>(owner);
  for (let i = 0; i < count; i++) map = map.set(`key-${i}`, i, owner);
  return map;
}

sharing('holds what it was given, over all splits', () => {
  const map = filled({});
  assert.is(map.size, count);
  for (let i = 0; i < count; i++) assert.is(map.get(`key-${i}`), i);
  assert.is(map.get('key-x'), undefined);
  assert.equal(
    [...map.values()].sort((a, b) => a - b),
    Array.from({ length: count }, (_, i) => i),
  );
});

sharing('its owner changes it in place; anyone else gets another map, and this one stays as it is', () => {
  const owner = {};
  const map = filled(owner);
  assert.is(map.set('key-1', -1, owner), map);
  const other = {};
  const changed = map.set('key-2', -2, other).set('new', 0, other).delete('key-3', other);
  assert.is.not(changed, map);
  assert.equal(
    [changed.get('key-2'), changed.get('new'), changed.get('key-3'), changed.size],
    [-2, 0, undefined, count],
  );
  assert.equal([map.get('key-2'), map.get('new'), map.get('key-3'), map.size], [2, undefined, 3, count]);
  assert.is(changed.get('key-1'), -1);
});

sharing('deleting what is not there makes nothing new', () => {
  const map = filled({});
  assert.is(map.delete('nothing', {}), map);
});

sharing.run();
