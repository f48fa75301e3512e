import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { groups } from './checks.ts';
import { tablePage } from './table.ts';

const table = suite('docs/runtimes.md');

table('has the table of what the checks show', () => {
  const { is, wanted } = tablePage();
  assert.ok(is === wanted, 'it is another one; node test/runtimes/table.ts mends that');
});

table('no two checks of a group have one name', () => {
  const names = groups.flatMap(({ title, checks }) => checks.map(({ name }) => `${title}: ${name}`));
  assert.is(new Set(names).size, names.length);
});

table.run();
