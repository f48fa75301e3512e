import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compilePoolSpec } from '../../src/core/pool-compile.ts';
import { type IndexMember, PoolIndex } from '../../src/services/pool-index.ts';

function pool(...urls: string[]): IndexMember[] {
  const { targets, settings } = compilePoolSpec('route a', 'route', urls, {}, () => {});
  return targets.map(({ target }) => ({ target, insecureSkipVerify: false, settings: settings.instance }));
}

const indexes = suite('pool index');

indexes('an instance is in the pools that name it, names by their addresses', () => {
  const addresses: Record<string, string[]> = { 'web.internal': ['10.0.0.1', '10.0.0.2'] };
  const index = new PoolIndex({
    pools: () => [pool('http://10.0.0.9', 'http://web.internal'), pool('http://10.0.0.9', 'http://10.0.0.8/base')],
    addresses: (name) => addresses[name] ?? [],
    steady: () => 0,
  });
  const named = ['http://10.0.0.9', 'http://web.internal@10.0.0.1', 'http://web.internal@10.0.0.2'];
  assert.equal(index.of('http://web.internal@10.0.0.2'), [named]);
  assert.equal(index.of('http://10.0.0.9'), [named, ['http://10.0.0.9', 'http://10.0.0.8']]);
  assert.equal(index.of('http://10.0.0.7'), []);
  delete addresses['web.internal'];
  assert.equal(index.of('http://web.internal@10.0.0.7'), [['http://10.0.0.9', 'http://web.internal@10.0.0.7']]);
});

indexes('made when asked for, and anew at most once a second', () => {
  let now = 0;
  let made = 0;
  let list = [pool('http://10.0.0.1', 'http://10.0.0.2')];
  const index = new PoolIndex({
    pools() {
      made += 1;
      return list;
    },
    addresses: () => [],
    steady: () => now,
  });
  assert.is(made, 0);
  index.of('http://10.0.0.1');
  list = [];
  index.changed();
  assert.is(index.of('http://10.0.0.1').length, 1);
  now = 1_000;
  assert.is(index.of('http://10.0.0.1').length, 0);
  index.of('http://10.0.0.1');
  assert.is(made, 2);
});

indexes.run();
