import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../src/core/routes.ts';
import { matchPath, type RouteTable } from '../../src/core/table.ts';
import { HostCache } from '../../src/edge/host-cache.ts';

const hostCache = suite('host cache');

function tableOf(targets: Record<string, string>, revision: number): RouteTable {
  const routes = Object.entries(targets).map(([id, target]) => ({ id, target }));
  const compiled = compile(routes, revision);
  if ('faults' in compiled) throw new Error(compiled.faults[0].message);
  return compiled.table;
}

function targetOf(cache: HostCache, table: RouteTable, authority: string): string | undefined {
  const hosts = cache.find(table, authority);
  return hosts && (matchPath(hosts, '/')?.route.target as string | undefined);
}

hostCache('asked again, a host is what it was; in another table, what it is there', () => {
  const cache = new HostCache('http');
  const one = tableOf({ 'a.test': 'http://one', '*': 'http://any' }, 1);
  const two = tableOf({ 'a.test': 'http://two' }, 2);
  for (let i = 0; i < 2; i++) {
    assert.is(targetOf(cache, one, 'a.test'), 'http://one');
    assert.is(targetOf(cache, one, 'b.test'), 'http://any');
    assert.is(targetOf(cache, one, 'b/c'), undefined);
  }
  for (let i = 0; i < 2; i++) {
    assert.is(targetOf(cache, two, 'a.test'), 'http://two');
    assert.is(targetOf(cache, two, 'b.test'), undefined);
  }
  assert.is(targetOf(cache, one, 'a.test'), 'http://one');
});

hostCache('the same match is given for the same host, and more hosts than it holds are answered right', () => {
  const cache = new HostCache('http');
  const table = tableOf({ '*.test': 'http://wild', 'h7.test': 'http://seven' }, 1);
  assert.is(cache.find(table, 'h1.test'), cache.find(table, 'h1.test'));
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5_000; i++) {
      assert.is(targetOf(cache, table, `h${i}.test`), i === 7 ? 'http://seven' : 'http://wild');
    }
    cache.age();
  }
});

hostCache.run();
