import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeSource, findFiles, readRouteSources } from '../../cli/route-files.ts';
import { temporary } from '../helpers/temporary.ts';

const files = suite('cli: files of routes');

const a = { id: 'a', target: 't' };
const b = { id: 'b', target: 't', hostHeader: 'upstream', connectTimeoutMs: 5 } as const;

function read(...texts: string[]) {
  return readRouteSources(texts.map((text, i) => ({ name: `f${i}`, text })));
}

/** The faults as `file:line: message`. */
async function faults(...texts: string[]): Promise<string[]> {
  const result = await read(...texts);
  if ('routes' in result) throw new Error(`accepted: ${JSON.stringify(result.routes)}`);
  return result.faults.map(({ source, line, message }) => `${source}:${line}: ${message}`);
}

for (const [name, text, routes] of [
  ['one mapping', 'id: a\ntarget: t\n', [a]],
  ['one list', '- id: a\n  target: t\n- {id: b, target: t, hostHeader: upstream, connectTimeoutMs: 5}\n', [a, b]],
  [
    "the seed's file",
    '# routeA.yaml\nid: "127.0.0.1"\ntarget: "127.0.0.1:4200"\n',
    [{ id: '127.0.0.1', target: '127.0.0.1:4200' }],
  ],
  [
    'an address without quotes',
    'id: 127.0.0.1\ntarget: 127.0.0.1:4200\n',
    [{ id: '127.0.0.1', target: '127.0.0.1:4200' }],
  ],
  [
    'several documents, a mapping and a list',
    '---\nid: a\ntarget: t\n---\n- id: b\n  target: t\n  hostHeader: upstream\n  connectTimeoutMs: 5\n...\n',
    [a, b],
  ],
  ['empty documents between', '# nothing\n---\n---\nid: a\ntarget: t\n---\n', [a]],
  ['JSON, a mapping', '{"id":"a","target":"t"}', [a]],
  ['JSON, a list', `\n [${JSON.stringify(a)}, ${JSON.stringify(b)}]`, [a, b]],
  ['YAML that begins like JSON', '{id: a, target: t}', [a]],
  ['anchors', '- &x {id: a, target: t}\n- id: b\n  target: t\n  hostHeader: upstream\n  connectTimeoutMs: 5\n', [a, b]],
  ['a byte order mark and CRLF', '\ufeffid: a\r\ntarget: t\r\n', [a]],
  ['ids in normal form', 'id: A.\ntarget: t', [a]],
  ['nothing', '', []],
  ['comments only', '# later\n', []],
  ['an empty list', '[]', []],
] as const) {
  files(`${name}`, async () => assert.equal(await read(text), { routes }));
}

const idWords = 'a host, or a host and a path, such as app.example.com/api';
const reference = 'oo schema and docs/options.md have those that there are';

for (const [name, text, ...expected] of [
  ['an unknown field', 'id: a\ntarget: t\nextra: 1\n', `3: unknown field 'extra'; ${reference}`],
  [
    'an unknown field in JSON',
    '[{"id":"a","target":"t"},\n {"id":"b",\n  "target":"t",\n  "extra":1}]',
    `4: unknown field 'extra'; ${reference}`,
  ],
  [
    'a missing field',
    '- id: a\n  target: t\n-\n  id: b\n',
    '4: target is missing; expected an address such as http://10.0.0.2:3000',
  ],
  [
    'a bad id',
    '# x\n\nid: http://a\ntarget: t\n',
    "3: id 'http://a' has a scheme; expected only a host and perhaps a path: app.example.com/api",
  ],
  [
    'a bad target',
    'id: a\ntarget: ftp://x\n',
    "2: target 'ftp://x' has the unknown scheme 'ftp'; expected http://, https:// or h2c://",
  ],
  ['a number for an id', 'target: t\nid: 5\n', `2: id is 5; expected ${idWords}`],
  ['brackets without quotes', 'id: [::1]\ntarget: t\n', `1: id is a list; expected ${idWords}`],
  [
    'a wildcard without quotes',
    'id: a\ntarget: t\n---\ntarget: t\nid: *.example.com\n',
    '5: *.example.com without quotes is a reference in YAML; expected "*.example.com" in quotes',
  ],
  ['a text', 'hello', "1: a route is 'hello'; expected a mapping with id and target"],
  ['a list of lists', '- []\n', '1: a route is a list; expected a mapping with id and target'],
  ['a field twice', 'id: a\ntarget: t\nid: b\n', '3: a field is given twice; expected each once'],
  ['a field twice in JSON', '{"id":"a",\n"target":"t",\n"id":"b"}', '3: a field is given twice; expected each once'],
  ['a tab', 'id: a\n\ttarget: t\n', '2: a tab is used to indent; expected spaces'],
  ['an open quote', 'id: "a\ntarget: t\n', '3: not valid YAML: Missing closing "quote'],
  [
    'an id twice',
    'id: A\ntarget: t\n---\nid: b\ntarget: t\n---\ntarget: t\nid: a.\n',
    "8: id 'a.' is that of f0:1 too; expected each id once",
  ],
  [
    'all faults, of all documents',
    '- id: a b\n  target: ""\n- id: b\n---\nid: "c\n',
    '6: not valid YAML: Missing closing "quote',
    "1: id 'a b' has white space or a control character; expected a host and perhaps a path",
    "2: target '' is empty; expected an address such as http://10.0.0.2:3000",
    '3: target is missing; expected an address such as http://10.0.0.2:3000',
  ],
] as const) {
  files(`refused: ${name}`, async () => {
    const found = await faults(text);
    assert.equal(found.map((line) => line.replace(/^f0:/, '')).sort(), [...expected].sort());
  });
}

files("the seed's list without its indentation: named, with the line, and not guessed at", async () => {
  const text =
    '# routes.yaml\n- id: "api.example.com"\ntarget: "http://1backend:11337"\n- id: "example.com"\ntarget: "http://frontend:8080"\n';
  assert.equal(await faults(text), [
    "f0:3: 'target' is not part of the list item above it; expected it under the item's first field, indented by two spaces",
  ]);
});

files('ids that come twice in several files: both places', async () => {
  assert.equal(
    await faults('id: x\ntarget: t', '- id: y\n  target: t\n- target: t\n  id: X', '[{"id":"x.","target":"t"}]'),
    [
      "f1:4: id 'X' is that of f0:1 too; expected each id once",
      "f2:1: id 'x.' is that of f0:1 too; expected each id once",
    ],
  );
});

files('an expansion of aliases without end is refused', async () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
    bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(',')}]`);
  }
  const begun = performance.now();
  assert.is((await faults(bomb.join('\n'))).length, 1);
  assert.ok(performance.now() - begun < 2_000);
});

files('10,000 routes of JSON are read at once, of YAML in a second or so', async () => {
  const routes = Array.from({ length: 10_000 }, (_, i) => ({ id: `h${i}`, target: `t${i}` }));
  const yaml = routes.map(({ id, target }) => `- id: "${id}"\n  target: "${target}"\n`).join('');
  const begun = performance.now();
  assert.equal(await read(JSON.stringify(routes)), { routes });
  assert.ok(performance.now() - begun < 1_000, 'JSON');
  assert.equal(await read(yaml), { routes });
  assert.ok(performance.now() - begun < 10_000, 'YAML');
});

files('a directory: .yaml, .yml and .json below it, by name; others, hidden ones and loops are passed over', () => {
  const dir = temporary();
  for (const name of [
    'b.yml',
    'a.yaml',
    'c.JSON',
    'd.txt',
    '.e.yaml',
    'sub/deep/f.yaml',
    '.git/g.yaml',
    '..data/h.yaml',
  ]) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), '');
  }
  // As Kubernetes mounts a ConfigMap, and a link that leads back.
  symlinkSync('..data/h.yaml', join(dir, 'h.yaml'));
  symlinkSync('..', join(dir, 'sub/up'));
  assert.equal(
    findFiles(dir).map((path) => path.slice(dir.length + 1)),
    ['a.yaml', 'b.yml', 'c.JSON', 'h.yaml', 'sub/deep/f.yaml'],
  );
  assert.equal(findFiles(join(dir, 'd.txt')), [join(dir, 'd.txt')], 'a file that is named is read, whatever its name');
  assert.throws(() => findFiles(join(dir, 'none')), /none: there is no such file\./);
});

files('bytes that are no UTF-8', () => {
  assert.throws(() => decodeSource('x', Uint8Array.of(0x69, 0xff)), /x is not UTF-8 text/);
});

files.run();
