import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { readRouteSources } from '../../cli/route-files.ts';
import { routeFields } from '../../src/admin/schema.ts';
import { defaultAdmissionLimits } from '../../src/core/admission.ts';
import { openGate } from '../../src/core/admission-gate.ts';
import { defaultBalancing, policies } from '../../src/core/balance-pool.ts';
import { defaultBreakerSettings } from '../../src/core/breaker.ts';
import { defaultHealthCheck } from '../../src/core/health-check.ts';
import { defaultOutlierSettings } from '../../src/core/outlier.ts';
import { defaultRetryPolicy } from '../../src/core/retry.ts';
import { defaultRetryBudget } from '../../src/core/retry-budget.ts';
import { memoryIo } from '../helpers/memory-io.ts';

const page = suite('docs/routes.md');
const text = readFileSync(new URL('../../docs/routes.md', import.meta.url), 'utf8');
const options = readFileSync(new URL('../../docs/options.md', import.meta.url), 'utf8');

/** A section's rows: the first cell without its quotes, and the last one. */
function rowsOf(title: string): Map<string, string> {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';
  const rows = [...section.matchAll(/^\| `([^`]+)` \|.*\| ?([^|]*?) ?\|$/gm)];
  return new Map(rows.map(([, field, last]) => [field, last.replaceAll('`', '')]));
}

const sections: [string, object][] = [
  ['balance', { ...defaultBalancing, by: 'ip', sticky: false }],
  ['outlier', { ...defaultOutlierSettings, statuses: 'gateway' }],
  ['breaker', defaultBreakerSettings],
  ['limits', defaultAdmissionLimits],
  ['retry', { ...defaultRetryPolicy, budget: defaultRetryBudget.ratio }],
  [
    'health',
    {
      ...defaultHealthCheck,
      kind: 'http',
      host: "the target's",
      port: "the target's",
      statuses: defaultHealthCheck.statuses.map((range) => range.join('-')).join(','),
      bodyContains: 'nothing',
      grpcService: 'the server',
    },
  ],
  [
    'rollout',
    {
      'gate.state': '',
      'gate.message': "oo's own words",
      'gate.until': openGate.until,
      'gate.maxWaiting': openGate.maxWaiting,
      'gate.maxWaitMs': openGate.maxWaitMs,
      'canary.target': '',
      'canary.percent': 0,
      'canary.header': 'none',
      previous: 'none',
    },
  ],
];

for (const [title, defaults] of sections) {
  page(`${title}: every field, and its default`, () => {
    const rows = rowsOf(title);
    const expected = Object.entries(defaults).map(([field, value]) => [field, String(value)]);
    assert.equal([...rows].sort(), expected.sort());
  });
}

page('every field of a route is there', () => {
  for (const field of routeFields) {
    const hasSection = text.includes(`\n## ${field}\n`) || options.includes(`\n## ${field}\n`);
    assert.ok(hasSection || text.includes(`| \`${field}\` |`) || field === 'id', field);
  }
});

page('every example of a file can be saved', async () => {
  const examples = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, example]) => example);
  assert.ok(examples.length >= 9);
  for (const example of examples) {
    const read = await readRouteSources([{ name: 'example', text: example }]);
    assert.ok('routes' in read && read.routes.length === 1, `${example}${JSON.stringify(read)}`);
  }
});

page('every policy is explained', () => {
  for (const policy of policies) assert.ok(text.includes(`\n| \`${policy}\` | `), policy);
});

page('it names the flags of pools, all of them, and no others', () => {
  const { cac } = createProgram(memoryIo(), '1');
  const save = cac.commands.find((one) => one.name === 'route save');
  const known = (save?.options ?? []).map(({ rawName }) => rawName.split(' ')[0]);
  const named = [...text.matchAll(/^Flags?: (.*)$/gm)].flatMap(([, list]) => list.match(/--[a-z-]+/g) ?? []);
  const pool = known.slice(known.indexOf('--balance'), known.indexOf('--try-timeout') + 1);
  assert.equal([...named].sort(), pool.sort());
});

page.run();
