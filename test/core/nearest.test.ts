import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { nearest } from '../../src/core/nearest.ts';

const words = suite('core: the nearest word');

words('the one with the fewest letters off, up to a third of them', () => {
  assert.is(nearest('sttaus', ['serve', 'status', 'stop']), 'status');
  assert.is(nearest('app.tset', ['app.test', 'api.test']), 'app.test');
  assert.is(nearest('web', ['wob', 'wb']), 'wob', 'the first of equal ones');
  assert.is(nearest('web', ['user-svc', 'w']), undefined);
  assert.is(nearest('w', ['w']), undefined, 'one letter says nothing');
  assert.is(nearest('abc', []), undefined);
  assert.is(nearest('abcdef', new Set(['abcd', 'abcdefgh', 'ab'])), 'abcd');
});

words.run();
