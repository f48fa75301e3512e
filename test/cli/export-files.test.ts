import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Exported, type ExportOptions, planExport, writeExport } from '../../cli/export-files.ts';
import { temporary } from '../helpers/temporary.ts';

const files = suite('cli: files that are exported to');

const options: ExportOptions = { format: 'yaml', comments: '', force: false };
const none: Exported = { routes: [], services: [], settings: {} };

/** What a file is made to be. */
async function after(text: string, exported: Partial<Exported>, name = 'oo.yaml'): Promise<string> {
  const path = join(temporary(), name);
  writeFileSync(path, text);
  writeExport(await planExport(path, { ...none, ...exported }, options));
  return readFileSync(path, 'utf8');
}

const a = { id: 'a', target: 'http://t' };
const b = { id: 'b', target: 'http://t' };

for (const [name, before, exported, expected] of [
  [
    'a file that says it all is not touched',
    '# mine\n-   id:   a\n    target: "http://t" # old rack\n',
    { routes: [a] },
    undefined,
  ],
  [
    'a value is changed where it stands',
    '# mine\n- id: a # first\n  # where\n  target: http://old # why\n\n# second\n- {id: b, target: http://t}\n',
    { routes: [a, b] },
    '# mine\n- id: a # first\n  # where\n  target: http://t # why\n\n# second\n- { id: b, target: http://t }\n',
  ],
  [
    'what is gone goes',
    '- id: a\n  target: http://t\n- id: b\n  target: http://t\n',
    { routes: [b] },
    '- id: b\n  target: http://t\n',
  ],
  [
    'a new one comes to the list',
    '# mine\n- id: a\n  target: http://t\n',
    { routes: [a, b] },
    '# mine\n- id: a\n  target: http://t\n- id: b\n  target: http://t\n',
  ],
  [
    'a new one comes to the mapping of ids',
    '# mine\nroutes:\n  a:\n    target: http://t # here\n',
    { routes: [a, b] },
    '# mine\nroutes:\n  a:\n    target: http://t # here\n  b:\n    target: http://t\n',
  ],
  ['ids stay as they are spelt', 'id: A.\ntarget: http://old\n', { routes: [a] }, 'id: A.\ntarget: http://t\n'],
  [
    'single routes get another document',
    '# one\nid: a\ntarget: http://t\n---\n# two\nid: b\ntarget: http://t\n',
    { routes: [b], settings: { historyRevisions: 5 } },
    '# two\nid: b\ntarget: http://t\n---\nsettings:\n  historyRevisions: 5\n',
  ],
  [
    'inner mappings keep their comments',
    'routes:\n  - id: a\n    target: http://t\n    health:\n      # theirs\n      path: /up\n      intervalMs: 5 # often\n',
    { routes: [{ ...a, health: { path: '/up', intervalMs: 9 } }] },
    'routes:\n  - id: a\n    target: http://t\n    health:\n      # theirs\n      path: /up\n      intervalMs: 9 # often\n',
  ],
  [
    'an owner is said once',
    'owner: shop\nroutes:\n  - id: a\n    target: http://old\n',
    {
      owner: 'shop',
      routes: [
        { ...a, owner: 'shop' },
        { ...b, owner: 'shop' },
      ],
    },
    'owner: shop\nroutes:\n  - id: a\n    target: http://t\n  - id: b\n    target: http://t\n',
  ],
  [
    'of two that share a value, one is changed',
    '- id: b\n  target: http://t\n  health: &h { path: /x }\n- id: c\n  target: http://t\n  health: *h\n',
    {
      routes: [
        { ...b, health: { path: '/y' } },
        { ...b, id: 'c', health: { path: '/x' } },
      ],
    },
    '- id: b\n  target: http://t\n  health: &h { path: /y }\n- id: c\n  target: http://t\n  health:\n    path: /x\n',
  ],
  ['a rollout that a file says is its own', 'id: a\ntarget: http://t\nrollout: {}\n', { routes: [a] }, undefined],
  [
    'services and settings',
    '# ours\nservices:\n  - id: s\n    balance: random\nsettings:\n  historyRevisions: 5\n',
    { services: [{ id: 's', balance: 'hash' }], settings: { historyRevisions: 6 } },
    '# ours\nservices:\n  - id: s\n    balance: hash\nsettings:\n  historyRevisions: 6\n',
  ],
] as const) {
  files(name, async () => assert.is(await after(before, exported as Partial<Exported>), expected ?? before));
}

for (const [name, file, text, why] of [
  ['JSON', 'oo.json', '[{"id":"a","target":"http://old"}]', /oo\.json can't be kept as it is written: it is JSON/],
  ['no YAML', 'oo.yaml', 'id: "a\n', /it is not valid YAML/],
  ['something else', 'oo.yaml', '- - x\n', /what it says could not be changed in its place|a route is/],
  [
    'an anchor of what is gone',
    'oo.yaml',
    '- {id: x, target: http://t, health: &h {path: /x}}\n- {id: c, target: http://t, health: *h}\n',
    /Unresolved alias/,
  ],
] as const) {
  files(`not touched without --force: ${name}`, async () => {
    const path = join(temporary(), file);
    writeFileSync(path, text);
    const exported = {
      ...none,
      routes: [a, { ...b, health: { path: '/y' } }, { id: 'c', target: 'http://t', health: { path: '/x' } }],
    };
    try {
      await planExport(path, exported, options);
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, why);
    }
    assert.is(readFileSync(path, 'utf8'), text);
    writeExport(await planExport(path, exported, { ...options, force: true }));
    assert.match(readFileSync(path, 'utf8'), /http:\/\/t/);
  });
}

files('a directory: each thing where it is, new ones by their kind', async () => {
  const dir = temporary();
  mkdirSync(join(dir, 'shop'));
  writeFileSync(join(dir, 'shop/a.yaml'), '# the shop\nid: a\ntarget: http://old\n');
  writeFileSync(join(dir, 'shop/empty.yaml'), '# later\n');
  const exported = { ...none, routes: [a, b], services: [{ id: 's', balance: 'random' }] };
  writeExport(await planExport(dir, exported, options));
  assert.is(readFileSync(join(dir, 'shop/a.yaml'), 'utf8'), '# the shop\nid: a\ntarget: http://t\n');
  assert.is(readFileSync(join(dir, 'routes.yaml'), 'utf8'), 'routes:\n  - id: b\n    target: http://t\n');
  assert.equal(readdirSync(dir).sort(), ['routes.yaml', 'services.yaml', 'shop']);
  assert.ok((await planExport(dir, exported, options)).every(({ isSame }) => isSame));
});

files('a directory of one file is that file', async () => {
  const dir = temporary();
  writeFileSync(join(dir, 'all.yaml'), 'routes:\n  - id: a\n    target: http://t\n');
  writeExport(await planExport(dir, { ...none, routes: [a, b] }, options));
  assert.equal(readdirSync(dir), ['all.yaml']);
  assert.match(readFileSync(join(dir, 'all.yaml'), 'utf8'), / {2}- id: b\n {4}target: http:\/\/t\n$/);
});

files('a directory that is not there yet is made', async () => {
  const dir = join(temporary(), 'new/config');
  writeExport(await planExport(dir, { ...none, routes: [a] }, options));
  assert.equal(readdirSync(dir), ['routes.yaml']);
});

files.run();
