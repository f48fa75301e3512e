import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { readItems } from '../../cli/route-files.ts';
import { readDefinitions } from '../../src/admin/definitions.ts';
import { registrationSchema } from '../../src/admin/registry-schema.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { callerOf, registryApps } from '../helpers/registry-server.ts';

const page = suite('docs/services.md');
const text = readFileSync(new URL('../../docs/services.md', import.meta.url), 'utf8');

page('every example of a file can be saved', async () => {
  const examples = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, example]) => example);
  assert.ok(examples.length > 0);
  for (const example of examples) {
    const read = await readItems([{ name: 'example', text: example }], (values) => {
      const proven = readDefinitions(values);
      return 'faults' in proven ? proven : { values: proven.definitions };
    });
    assert.ok('values' in read && read.values.length > 0, JSON.stringify(read));
  }
});

page('every command of a shell example is there, with its flags', () => {
  const { cac } = createProgram(memoryIo(), '1');
  const lines = [...text.matchAll(/(?:^|\s|`)oo (instance|definition|token|node) ([a-z]+)([^`\n]*)/gm)];
  assert.ok(lines.length > 10);
  for (const [line, noun, verb, rest] of lines) {
    const command = cac.commands.find((one) => one.isMatched(`${noun} ${verb}`));
    assert.ok(command, line);
    const flags = rest.split(' -- ')[0].match(/--[a-z][a-z-]+/g) ?? [];
    for (const flag of flags)
      assert.ok(command?.hasOption(flag.slice(2).replace(/-([a-z])/g, (_, c) => c.toUpperCase())), `${line}: ${flag}`);
  }
});

page('every field of a registration is there', () => {
  for (const field of Object.keys(registrationSchema.entries)) assert.ok(text.includes(`\`${field}\``), field);
});

page('its table of rights is what the service port does', async () => {
  const { open, tokens, stop } = await registryApps();
  const { token: admin } = await tokens.create({ scopes: ['admin'], slug: '' });
  const { token: service } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'a' });
  const section = text.split('## Tokens')[1].split('\n## ')[0];
  const rows = [...section.matchAll(/^\| (`.*) \| (.*) \| (.*) \| (.*) \|$/gm)];
  assert.is(rows.length, 8);
  for (const [, calls, nobody, own, all] of rows) {
    let method = 'GET';
    for (const [, words] of calls.matchAll(/`([^`]+)`/g)) {
      const [, verb, path] = /^(?:([A-Z]+)(?: |$))?(.*)$/.exec(words) ?? [];
      method = verb || 'GET';
      if (!path?.startsWith('/') || path.includes('SLUG')) continue;
      const status = async (token?: string) => (await callerOf(open, token)(method, path.replace('/…', '/x'))).status;
      const isRefused = (said: string) => (/^40[13]$/.test(said) ? Number(said) : undefined);
      for (const [said, given] of [
        [nobody, await status()],
        [own, await status(service)],
        [all, await status(admin)],
      ] as const) {
        const expected = isRefused(said);
        if (expected !== undefined) assert.is(given, expected, `${method} ${path}: ${said}`);
        else assert.ok(given !== 401 && given !== 403, `${method} ${path}: ${said}, not ${given}`);
      }
    }
  }
  await stop();
});

page.run();
