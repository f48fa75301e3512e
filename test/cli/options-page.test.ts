import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { failures } from '../../src/core/failure.ts';
import { routeOptionNames } from '../../src/core/option-types.ts';
import { compileRoute } from '../../src/core/routes.ts';

const page = suite('docs/options.md');
const text = readFileSync(new URL('../../docs/options.md', import.meta.url), 'utf8');
const all = text.split(/^## /m).slice(1);
// The last one is about all options, in another place.
const [sections, last] = [all.slice(0, -1), all.at(-1)];
const titles = sections.map((section) => section.slice(0, section.indexOf('\n')).trim());

page('sections are of options, each once, in the order of the alphabet', () => {
  assert.equal(titles, [...new Set(titles)].sort());
  assert.match(last!, /^In the fetch handler\n/);
  for (const title of titles)
    for (const name of title.split(/, | and /)) assert.ok((routeOptionNames as string[]).includes(name), title);
});

page('examples are routes that are taken', () => {
  for (const [i, section] of sections.entries()) {
    const examples = [...section.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].flatMap(([, yaml]) => parse(yaml));
    assert.ok(examples.length > 0, titles[i]);
    for (const route of examples) {
      const compiled = compileRoute(route);
      const faults = Array.isArray(compiled) ? compiled.map(({ message }) => message) : [];
      assert.equal(faults, [], titles[i]);
    }
  }
});

page('codes have the status that they have', () => {
  const rows = [...text.matchAll(/^\| ((?:`OO_\w+`(?:, )?)+) \| ([0-9, ]+) \|/gm)];
  assert.ok(rows.length > 5);
  for (const [, codes, statuses] of rows) {
    const named = codes.replaceAll('`', '').split(', ') as (keyof typeof failures)[];
    assert.equal(
      named.map((code) => failures[code]?.status),
      statuses.trim().split(', ').map(Number),
    );
  }
});

page.run();
