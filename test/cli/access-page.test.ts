import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { scopes } from '../../src/admin/access.ts';
import { defaultRequestsPerMinute } from '../../src/admin/api-limits.ts';
import { defaultAuditEntries } from '../../src/admin/audit-log.ts';
import { problemKinds } from '../../src/admin/problems.ts';
import { memoryIo } from '../helpers/memory-io.ts';

const page = suite('docs/access.md');
const text = readFileSync(new URL('../../docs/access.md', import.meta.url), 'utf8');

page('every scope is there, and no other', () => {
  const table = text.split('## Tokens and their scopes')[1].split('\n## ')[0];
  const named = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)]);
  assert.equal(named.map(([, scope]) => scope).sort(), [...scopes].sort());
});

page('every code has its status; the defaults are those that hold', () => {
  const rows = [...text.matchAll(/^\| (4\d\d) \| (.*?) \|/gm)];
  assert.is(rows.length, 7);
  for (const [, status, codes] of rows)
    for (const [, code] of codes.matchAll(/`(\w+)`/g))
      assert.ok(problemKinds[code]?.status.includes(Number(status)), code);
  assert.ok(text.includes(`default ${defaultRequestsPerMinute.toLocaleString('en-US')})`));
  assert.ok(text.includes(`default ${defaultAuditEntries.toLocaleString('en-US')})`));
});

page('every command of a shell example is there, with its flags', () => {
  const { cac } = createProgram(memoryIo(), '1');
  const lines = [...text.matchAll(/^oo ([a-z]+)( [a-z]+)?([^\n]*)/gm)];
  assert.ok(lines.length > 8);
  for (const [line, noun, verb = '', rest] of lines) {
    const command = cac.commands.find((one) => one.isMatched(`${noun}${verb}`));
    assert.ok(command, line);
    for (const flag of rest.split('#')[0].match(/(?<= )--?[a-z][a-z-]*/g) ?? [])
      assert.ok(command?.hasOption(flag.replace(/^--?/, '')), `${line}: ${flag}`);
  }
});

page.run();
