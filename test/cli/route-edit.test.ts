import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ConfigurationServer, configurationServer } from '../helpers/configuration-server.ts';

const edit = suite('cli: oo route edit');

/** Scripts in the place of an editor: each call runs the next one, and keeps what it was given. */
function editor(dir: string, ...scripts: string[]) {
  const program = join(dir, 'editor');
  const lines = scripts.map((script, i) => `${i + 1}) ${script} ;;`);
  const counted = `n=$(cat ${dir}/count 2>/dev/null || echo 0); n=$((n+1)); echo $n > ${dir}/count`;
  const kept = `cp "$1" ${dir}/given.$n; stat -c %a "$1" > ${dir}/mode; echo "$1" > ${dir}/path`;
  writeFileSync(program, `#!/bin/sh\n${counted}\n${kept}\ncase $n in\n${lines.join('\n')}\n*) exit 9 ;;\nesac\n`);
  chmodSync(program, 0o755);
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  return { env: { VISUAL: '', EDITOR: program }, given: (n: number) => read(`given.${n}`), read };
}

function test(name: string, run: (server: ConfigurationServer) => Promise<void>): void {
  edit(name, async () => {
    const server = await configurationServer();
    try {
      await server.oo('apply -', '- {id: a, target: http://old, owner: shop}\n- {id: b, target: http://t}');
      await run(server);
    } finally {
      await server.stop();
    }
  });
}

test('what is changed in the editor is in force; the file was private and is gone', async (server) => {
  const { oo, dir, configuration } = server;
  const { env, given, read } = editor(dir, `sed -i 's/old/new/' "$1"`);
  const { code, out, err } = await oo(['route', 'edit', 'a', '--reason', 'moved'], '', env);
  assert.equal([code, err], [0, 'updated a; revision 2\n']);
  assert.match(out, /-target: http:\/\/old\n\+target: http:\/\/new\n/);
  assert.match(given(1), /^#: a: save and leave .*\n#: .*\nid: a\ntarget: http:\/\/old\nowner: shop\n$/);
  assert.is(read('mode'), '600\n');
  assert.not.ok(existsSync(read('path').trim()));
  assert.equal(configuration.get('a'), { id: 'a', target: 'http://new', owner: 'shop' });
  const [last] = await configuration.history.list(1);
  assert.equal([last.reason, last.actor], ['moved', 'cli:ann']);
});

test('left as it is, nothing is done', async ({ oo, dir, configuration }) => {
  for (const script of ['true', `echo '# a comment' >> "$1"`]) {
    writeFileSync(join(dir, 'count'), '0');
    const { code, err } = await oo('route edit a', '', editor(dir, script).env);
    assert.equal([code, err], [0, 'Nothing was changed: a is as it was.\n']);
  }
  assert.is(configuration.table.revision, 1);
});

test('faults come back on top, and can be mended', async ({ oo, dir, configuration }) => {
  const bad = `printf 'balance:\\n  policy: fastest\\n' >> "$1"`;
  const { env, given } = editor(dir, bad, `sed -i 's/fastest/random/' "$1"`);
  const { code, err } = await oo('route edit a', '', env);
  assert.equal([code, err], [0, 'updated a; revision 2\n']);
  assert.match(given(2), /^#! line \d+: balance\.policy is 'fastest'; .*\n#! Mend it/);
  assert.match(given(2), /\nbalance:\n {2}policy: fastest\n$/);
  assert.equal(configuration.get('a')?.balance, { policy: 'random' });
});

test('faults that are left end it, and nothing is saved', async ({ oo, dir, configuration }) => {
  for (const bad of [`sed -i 's/^id: a/id: c/' "$1"`, ': > "$1"', `echo 'nope: 1' >> "$1"`, `echo '"' >> "$1"`]) {
    writeFileSync(join(dir, 'count'), '0');
    const { code, err } = await oo('route edit a', '', editor(dir, bad, 'true').env);
    assert.is(code, 1, err);
    assert.match(err, /It was left as it is; nothing was saved\./);
  }
  assert.is(configuration.table.revision, 1);
});

test('an editor that fails or is not there changes nothing', async ({ oo, dir, configuration }) => {
  const failing = await oo('route edit a', '', editor(dir, `sed -i s/old/new/ "$1"; exit 3`).env);
  assert.equal([failing.code, /ended with 3/.test(failing.err)], [1, true]);
  assert.is((await oo('route edit a', '', { VISUAL: '/nowhere/editor' })).code, 1);
  assert.is((await oo('route edit zzz', '', editor(dir, 'true').env)).code, 1);
  assert.is((await oo('route edit http://a', '', {})).code, 2);
  assert.is(configuration.table.revision, 1);
});

test('a change of another thing meanwhile is no trouble; one of the same route is shown', async (server) => {
  const { oo, dir, configuration } = server;
  const elsewhere = (id: string, target: string) => configuration.save([{ id, target }], { actor: 'other' });
  /** The editor waits until a change of others is there. */
  const waits = `touch ${dir}/asked; while [ ! -e ${dir}/go ]; do sleep 0.02; done; sed -i 's/old/new/' "$1"`;
  const meanwhile = async (change: () => Promise<unknown>) => {
    const end = performance.now() + 5_000;
    while (!existsSync(join(dir, 'asked')) && performance.now() < end)
      await new Promise((done) => setTimeout(done, 10));
    await change();
    writeFileSync(join(dir, 'go'), '');
  };
  const first = editor(dir, waits);
  const [mine] = await Promise.all([oo('route edit a', '', first.env), meanwhile(() => elsewhere('b', 'http://else'))]);
  assert.equal([mine.code, mine.err], [0, 'updated a; revision 3\n']);
  assert.is(configuration.get('b')?.target, 'http://else');

  await elsewhere('a', 'http://old');
  writeFileSync(join(dir, 'count'), '0');
  const during = editor(dir, `rm -f ${dir}/asked ${dir}/go; ${waits}`, 'true');
  const [late] = await Promise.all([
    oo('route edit a', '', during.env),
    (async () => {
      const end = performance.now() + 5_000;
      while (existsSync(join(dir, 'go')) && performance.now() < end) await new Promise((done) => setTimeout(done, 10));
      await meanwhile(() => elsewhere('a', 'http://theirs'));
    })(),
  ]);
  assert.is(late.code, 1);
  assert.match(during.given(2), /^#! Somebody else has changed it meanwhile/);
  assert.match(during.given(2), /#! \+target: http:\/\/theirs\n/);
  assert.is(configuration.get('a')?.target, 'http://theirs');
});

test('at a terminal it asks; no is no', async ({ ooAtTerminal, dir, configuration }) => {
  const { env } = editor(dir, `sed -i 's/old/new/' "$1"`);
  const { code, asked } = await ooAtTerminal('route edit a', ['n'], env);
  assert.equal([code, asked], [2, ['Save a? [y/N] ']]);
  assert.is(configuration.table.revision, 1);
});

edit.run();
