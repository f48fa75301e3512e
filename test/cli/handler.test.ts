import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { type ConfigurationServer, configurationServer } from '../helpers/configuration-server.ts';
import { temporary } from '../helpers/temporary.ts';

const handler = suite('cli: handlers of routes');
const source = 'export default (request, next) => next();\n';
const target = 'http://10.0.0.1';

/** A directory of files, by their names. */
function filesOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const dir = temporary();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

function test(name: string, run: (server: ConfigurationServer) => Promise<void>): void {
  handler(name, async () => {
    const server = await configurationServer();
    try {
      await run(server);
    } finally {
      await server.stop();
    }
  });
}

test('its text is read from the directory of the file that names it', async ({ oo, configuration }) => {
  const dir = filesOf({
    'a.yaml': `- id: a\n  target: ${target}\n  handler: ./lib/auth.mjs\n`,
    'lib/auth.mjs': source,
    'lib/b.json': JSON.stringify({ id: 'b', handler: { file: 'auth.mjs', timeoutMs: 500 } }),
    'lib/c.yaml': `routes:\n  c:\n    target: ${target}\n    handler: {file: ../lib/auth.mjs, memoryMb: 64}\n`,
  });
  const stored = {
    a: { file: './lib/auth.mjs', source },
    b: { file: 'auth.mjs', timeoutMs: 500, source },
    c: { file: '../lib/auth.mjs', memoryMb: 64, source },
  };
  const check = () => {
    for (const [id, one] of Object.entries(stored)) assert.equal(configuration.get(id)?.handler, one, id);
  };
  assert.is((await oo(['apply', dir])).err, '3 created; revision 1\n');
  check();
  assert.equal(await oo(['diff', dir]), { code: 0, out: '', err: '' });
  await oo('route rm a b');
  const saved = await oo(['route', 'save', join(dir, 'a.yaml'), join(dir, 'lib/b.json')]);
  assert.equal(saved, { code: 0, out: 'created a\ncreated b\n', err: '2 created; revision 3\n' });
  check();
});

test('by a flag, and from standard input, paths go from the present directory', async ({ oo, configuration }) => {
  const dir = filesOf({ 'h.mjs': source });
  const file = join(dir, 'h.mjs');
  const flags = await oo(['route', 'save', '--id', 'a', '--target', target, '--handler', file]);
  assert.equal([flags.code, configuration.get('a')?.handler], [0, { file, source }]);
  const piped = await oo(['route', 'save', '-'], JSON.stringify({ id: 'b', handler: file }));
  assert.equal([piped.code, configuration.get('b')?.handler], [0, { file, source }]);
  const missing = await oo('route save --id a --target t --handler ./no-such.mjs');
  assert.equal([missing.code, /--handler: \.\/no-such\.mjs: there is no such file\./.test(missing.err)], [2, true]);
});

test('TypeScript is stored as JavaScript, its lines where they were', async ({ oo, configuration }) => {
  const dir = filesOf({
    'a.yaml': `id: a\ntarget: ${target}\nhandler: ./h.ts\n`,
    'h.ts': 'type A = string;\nexport default (request: Request): A | Response => new Response(request.url as A);\n',
  });
  const { code, err } = await oo(['apply', dir]);
  assert.equal([code, err], [0, '1 created; revision 1\n']);
  const { handler } = configuration.get('a') as { handler: { source: string } };
  assert.match(handler.source, /^\s+\nexport default \(request\s+\)\s+=> new Response\(request\.url\s+\);\n$/);
  assert.is(handler.source.split('\n').length, 3);
  writeFileSync(join(dir, 'h.ts'), '\n\nenum A { b }\nexport default () => new Response();\n');
  const refused = await oo(['apply', dir]);
  assert.match(refused.err, /a\.yaml:3: handler\.file: \.\/h\.ts:3: TypeScript enum is not supported/);
});

test('what is no text of a module is a fault, with its place', async ({ oo, configuration }) => {
  const dir = filesOf({
    'big.mjs': `// ${'x'.repeat(256 * 1024)}`,
    'binary.mjs': new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0xff, 0xfe]),
    'zero.mjs': 'export default 1;\0',
    'empty.mjs': ' \n',
    'view.jsx': source,
    'dir.mjs/x': '',
  });
  for (const [file, why] of [
    ['none.mjs', 'there is no such file'],
    ['empty.mjs/x', 'there is no such file'],
    ['dir.mjs', 'it is a directory; expected a file'],
    ['big.mjs', 'it has 262147 bytes; expected at most 256 KiB'],
    ['binary.mjs', 'it is not UTF-8 text'],
    ['zero.mjs', 'it is not text'],
    ['empty.mjs', 'it is empty'],
    ['view.jsx', '.jsx is not taken'],
    ['/dev/zero', 'it is no regular file'],
  ]) {
    writeFileSync(
      join(dir, 'r.yaml'),
      `- id: ok\n  target: ${target}\n- id: a\n  target: ${target}\n  handler:\n    timeoutMs: 5\n    file: ${file}\n`,
    );
    for (const command of ['apply', 'diff', 'route save']) {
      const { code, err } = await oo([...command.split(' '), join(dir, 'r.yaml')]);
      const line = command === 'route save' ? 5 : 7;
      assert.ok(err.startsWith(`${dir}/r.yaml:${line}: handler.file: ${file}: ${why}`), err);
      assert.is(code, command === 'diff' ? 2 : 1);
    }
  }
  assert.is(configuration.table.revision, 0);
});

test('the API takes no handler without its text, and says who reads files', async ({ app }) => {
  for (const handler of ['./h.mjs', { file: './h.mjs' }]) {
    const body = JSON.stringify({ routes: [{ id: 'a', target, handler }] });
    const answer = await app.request('/v1/routes', { method: 'PUT', body });
    const { faults } = (await answer.json()) as { faults: { field: string; message: string; pointer: string }[] };
    assert.is(answer.status, 400);
    assert.match(faults[0].message, /^handler\.source is missing; .* over the API send it$/);
    assert.match(faults[0].pointer, /^\/routes\/0\/handler/);
  }
});

test('at a terminal it is a name and a version; -o json and -o yaml have all of it', async ({ oo, configuration }) => {
  const dir = filesOf({
    'r.yaml': `- {id: a, target: "${target}", handler: ./h.mjs}\n- {id: b, handler: ./h.mjs}\n`,
    'h.mjs': source,
  });
  await oo(['apply', dir]);
  const list = (await oo('routes ls')).out;
  assert.match(list, /^a +http:\/\/10\.0\.0\.1 \[handler h\.mjs @ [0-9a-f]{8}\]$/m);
  assert.match(list, /^b +handler h\.mjs @ [0-9a-f]{8}$/m);
  assert.match((await oo('route get a')).out, /^handler: h\.mjs @ [0-9a-f]{8}$/m);
  assert.equal(JSON.parse((await oo('route get a -o json')).out), configuration.get('a'));
  // What is shown in full can be saved again.
  const whole = (await oo('route get a -o yaml')).out;
  assert.is((await oo('route save -', whole)).out, 'unchanged a\n');
});

test('a change of it is shown line by line', async ({ oo }) => {
  const lines = Array.from({ length: 400 }, (_, i) => `// line ${i}`);
  const dir = filesOf({
    'r.yaml': `id: a\ntarget: ${target}\nhandler: ./h.mjs\n`,
    'h.mjs': `${source}${lines.join('\n')}\n`,
  });
  const first = await oo(['diff', dir]);
  assert.match(
    first.out,
    /\n\+handler: h\.mjs @ [0-9a-f]{8}\n--- \/dev\/null {2}@0\n\+\+\+ route a: its handler {2}the files\n/,
  );
  assert.match(first.out, /… and \d+ more lines; oo route get a -o json has all of it\n/);
  await oo(['apply', dir]);
  writeFileSync(join(dir, 'h.mjs'), `${source}${lines.join('\n').replace('line 200', 'line two hundred')}\n`);
  for (const command of [
    ['diff', dir],
    ['apply', dir, '--dry-run'],
  ]) {
    const { out } = await oo(command);
    assert.match(out, /-handler: h\.mjs @ [0-9a-f]{8}\n\+handler: h\.mjs @ [0-9a-f]{8}\n/);
    assert.match(out, / \/\/ line 199\n-\/\/ line 200\n\+\/\/ line two hundred\n \/\/ line 201\n/);
    assert.ok(out.length < 1_000, out);
  }
  await oo(['apply', dir]);
  assert.match((await oo('history @2')).out, /-\/\/ line 200\n\+\/\/ line two hundred\n/);
  writeFileSync(join(dir, 'h.mjs'), Array.from({ length: 6_000 }, (_, i) => `// ${i * 7} other`).join('\n'));
  assert.match(
    (await oo(['diff', dir])).out,
    /route a: its handler is another text: 6000 lines in the place of 402; oo route get/,
  );
});

test('the editor has its file; a changed path is read, its text stays otherwise', async ({
  oo,
  dir,
  configuration,
}) => {
  const files = filesOf({
    'r.yaml': `id: a\ntarget: ${target}\nhandler: ./h.mjs\n`,
    'h.mjs': source,
    'new.mjs': '// new\nexport default 1;\n',
  });
  await oo(['apply', files]);
  const edit = (script: string) => {
    const path = join(dir, 'editor');
    writeFileSync(path, `#!/bin/sh\ncp "$1" ${dir}/given\n${script}\n`, { mode: 0o755 });
    return oo('route edit a --yes', '', { VISUAL: '', EDITOR: `sh ${path}` });
  };
  const limits = await edit(`sed -i 's/^handler: .*/handler: {file: .\\/h.mjs, timeoutMs: 50}/' "$1"`);
  assert.is(limits.err, 'updated a; revision 2\n');
  assert.match(
    readFileSync(join(dir, 'given'), 'utf8'),
    /\n#: Its handler stays as it is stored.*\n(.*\n)*handler: \.\/h\.mjs\n$/,
  );
  assert.equal(configuration.get('a')?.handler, { file: './h.mjs', timeoutMs: 50, source });
  const other = await edit(`sed -i 's#file: .*#file: ${files}/new.mjs#' "$1"`);
  assert.is(other.err, 'updated a; revision 3\n');
  assert.equal(configuration.get('a')?.handler, {
    file: `${files}/new.mjs`,
    timeoutMs: 50,
    source: '// new\nexport default 1;\n',
  });
  const lost = await edit(`case $(cat "$1") in *gone*) ;; *) sed -i 's#file: .*#file: ./gone.mjs#' "$1" ;; esac`);
  assert.is(lost.code, 1);
  assert.match(lost.err, /line \d+: handler\.file: \.\/gone\.mjs: there is no such file/);
});

const withHandler = (id: string, file: string | undefined, text: string, more: object = {}): Route => ({
  id,
  target,
  handler: { ...(file !== undefined && { file }), source: text, ...more },
});

test('an export has the texts beside it, under safe names; apply of it changes nothing', async (server) => {
  const { oo, configuration } = server;
  const by = { actor: 'x' };
  const routes = [
    withHandler('a', './auth.mjs', '// one\n'),
    withHandler('b', './auth.mjs', '// two\n', { timeoutMs: 9 }),
    withHandler('c', '../../etc/auth.mjs', '// one\n'),
    withHandler('d', '/etc/cron.d/.x y;z.ts', '// three\n'),
    withHandler('e', '..', '// four\n'),
    withHandler('f', undefined, '// five\n'),
    withHandler('g', './AUTH.mjs', '// six\n'),
  ];
  await configuration.save(routes, by);
  const dir = filesOf({ 'taken/handler.mjs': '// somebody else’s\n' });
  for (const [path, home] of [
    [join(dir, 'fresh'), join(dir, 'fresh')],
    [join(dir, 'file', 'oo.yaml'), join(dir, 'file')],
    [join(dir, 'json', 'oo.json'), join(dir, 'json')],
    [join(dir, 'taken'), join(dir, 'taken')],
  ]) {
    const { code, err } = await oo(['export', path]);
    assert.is(code, 0, err);
    const isTaken = path.endsWith('taken');
    const names = ['AUTH-3.mjs', 'auth-2.mjs', 'auth.mjs', 'x-y-z.mjs', 'handler.mjs', 'handler-2.mjs'];
    const expected = [...names, ...(isTaken ? ['handler-3.mjs'] : [])];
    assert.equal(
      readdirSync(home)
        .filter((name) => /js$/.test(name))
        .sort(),
      expected.sort(),
      path,
    );
    assert.is(readFileSync(join(home, 'auth.mjs'), 'utf8'), '// one\n');
    if (isTaken) assert.is(readFileSync(join(home, 'handler.mjs'), 'utf8'), '// somebody else’s\n');
    assert.is((await oo(['apply', path])).err, '7 unchanged; revision 1\n', path);
    const again = await oo(['export', path, ...(path.endsWith('json') ? ['--force'] : [])]);
    assert.not.match(again.out, /wrote/);
  }
  const printed = (await oo('export')).out;
  assert.match(printed, /\n {6}source: \|\n {8}\/\/ one\n/);
  assert.is((await oo('apply -', printed)).err, '7 unchanged; revision 1\n');
});

test('an export in place keeps names and spelling, and changes the texts', async ({ oo, configuration }) => {
  const dir = filesOf({
    'config/routes.yaml': `# mine\n- id: a\n  target: ${target}\n  handler: lib/auth.mjs # checked\n- id: b\n  target: ${target}\n  handler: {file: ../outside.mjs}\n- id: c\n  target: ${target}\n  handler: ./link.mjs\n- id: d\n  target: ${target}\n  handler:\n    source: |\n      // inline\n`,
    'config/lib/auth.mjs': '// old a\n',
    'outside.mjs': '// old b\n',
    'elsewhere.mjs': '// old c\n',
  });
  symlinkSync('../elsewhere.mjs', join(dir, 'config/link.mjs'));
  await oo(['apply', join(dir, 'config')]);
  assert.match((await oo(['export', join(dir, 'config')])).out, /^unchanged .*\n/m);
  assert.not.match((await oo(['export', join(dir, 'config')])).out, /wrote/);
  for (const id of ['a', 'b', 'c', 'd']) {
    const route = configuration.get(id) as Route & { handler: object };
    await configuration.save([{ ...route, handler: { ...route.handler, source: `// new ${id}\n` } }], { actor: 'x' });
  }
  await oo(['export', join(dir, 'config')]);
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  assert.is(read('config/lib/auth.mjs'), '// new a\n');
  // Nothing outside is written, nor through a link.
  assert.equal([read('outside.mjs'), read('elsewhere.mjs')], ['// old b\n', '// old c\n']);
  const yaml = read('config/routes.yaml');
  assert.match(yaml, /^# mine\n- id: a\n {2}target: .*\n {2}handler: lib\/auth\.mjs # checked\n/);
  assert.match(yaml, /handler: \{ ?file: \.\/outside\.mjs ?\}/);
  assert.match(yaml, /handler: \.\/link-2\.mjs\n/);
  assert.match(yaml, /source: \|\n {6}\/\/ new d\n/);
  assert.equal([read('config/outside.mjs'), read('config/link-2.mjs')], ['// new b\n', '// new c\n']);
  assert.is((await oo(['apply', join(dir, 'config')])).err, '4 unchanged; revision 5\n');
  assert.not.ok(existsSync(join(dir, 'config/auth.mjs')));
});

test('several of the largest go into one request, and fill no terminal', async (server) => {
  const { oo, configuration } = server;
  const text = `// ${'"'.repeat(256 * 1024 - 4)}\n`;
  const files: Record<string, string> = {};
  for (let i = 0; i < 12; i++) {
    files[`h${i}.mjs`] = text;
    files[`r${i}.yaml`] = `id: r${i}\ntarget: ${target}\nhandler: ./h${i}.mjs\n`;
  }
  const { code, err } = await oo(['apply', filesOf(files)]);
  assert.equal([code, err], [0, '12 created; revision 1\n']);
  assert.is((configuration.get('r11') as { handler: { source: string } }).handler.source, text);
  assert.ok((await oo('routes ls')).out.length < 2_000);
  assert.ok((await oo('history @1')).out.length < 12 * 1_000);
});

handler.run();
