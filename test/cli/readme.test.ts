import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settingsTable } from '../../cli/environment.ts';
import { createProgram } from '../../cli/program.ts';
import { commonSettings, serveSettings } from '../../cli/settings.ts';
import { failures } from '../../src/core/failure.ts';
import { memoryIo } from '../helpers/memory-io.ts';

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

readme('every command of a shell example is there, with its flags', () => {
  const { cac } = createProgram(memoryIo(), '1');
  const nouns: Record<string, string> = { certs: 'cert', routes: 'route' };
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block);
  const lines = blocks.flatMap((block) => block.split('\n')).map((line) => line.replace(/^\$ /, ''));
  const seen = new Set<string>();
  for (const line of lines.filter((one) => /^oo (certs?|keys?|routes?|trust|untrust)\b/.test(one))) {
    const [, first, ...rest] = line.replace(/ +#.*/, '').split(' ');
    const noun = nouns[first] ?? first;
    const command = cac.commands.find((one) => one.isMatched(noun) || one.isMatched(`${noun} ${rest[0]}`));
    assert.ok(command, line);
    seen.add(command?.name ?? '');
    const flags = rest.filter((word) => /^--[a-z]/.test(word)).map((word) => word.slice(2));
    for (const flag of flags) assert.ok(command?.hasOption(flag), `${line}: ${flag}`);
  }
  for (const name of ['cert list', 'cert get', 'cert check', 'cert renew', 'cert save', 'cert rm', 'cert raw', 'trust'])
    assert.ok(seen.has(name), name);
});

readme.run();
