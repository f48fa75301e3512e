import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { commonSettings, serveSettings, settingsTable } from '../../cli/environment.ts';
import { failures } from '../../src/core/failure.ts';

const readme = suite('README');
const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

readme('its table of flags is the one that serve reads', () => {
  const [, table] = /<!-- settings:[^\n]*\n([\s\S]*?)\n<!-- \/settings -->/.exec(text) ?? [];
  assert.is(table, settingsTable({ ...commonSettings, ...serveSettings }));
});

readme('names every failure code but the one for faults of our own, with its status', () => {
  const rows = text.split('\n').filter((line) => line.includes('`OO_') && line.startsWith('| '));
  for (const [code, { status }] of Object.entries(failures)) {
    if (code === 'OO_INTERNAL') continue;
    const row = rows.find((line) => line.includes(`\`${code}\``));
    assert.ok(row?.split('|')[1].includes(String(status)), `${code} with ${status}`);
  }
});

readme.run();
