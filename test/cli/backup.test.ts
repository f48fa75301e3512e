import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';

const backup = suite('cli: oo backup, oo restore');

interface Situation {
  /** What the person at the terminal answers; left out: nobody is there. */
  readonly typed?: string;
  readonly input?: Buffer;
}

/** Runs `oo` on a database without a server. */
async function oo(stateDir: string, words: readonly string[], { typed, input = Buffer.alloc(0) }: Situation = {}) {
  const asked: string[] = [];
  const written: Uint8Array[] = [];
  const io = memoryIo();
  const ask = async (question: string) => {
    asked.push(question);
    return typed;
  };
  const code = await createProgram(
    {
      ...io,
      read: async () => input,
      write: async (bytes) => void written.push(bytes),
      ...(typed !== undefined && { person: { colors: false, watches: false, ask } }),
    },
    '1',
  ).run([...words, '--offline', '--state-dir', stateDir]);
  return { code, ...io.said, asked, written: Buffer.concat(written) };
}

async function filled(): Promise<string> {
  const stateDir = temporary();
  await oo(stateDir, ['route', 'save', '--id', 'a.test', '--target', 'http://127.0.0.1:1']);
  return stateDir;
}

const idsOf = async (stateDir: string) => (await oo(stateDir, ['route', 'list', '-q'])).out;

backup('a file is there whole or not at all, for its user alone, and replaced only by force', async () => {
  const stateDir = await filled();
  const folder = temporary();
  const file = join(folder, 'oo.backup');
  assert.is((await oo(stateDir, ['backup', file])).code, 0);
  assert.is(statSync(file).mode & 0o777, 0o600);
  const first = readFileSync(file);
  const again = await oo(stateDir, ['backup', file]);
  assert.equal([again.code, again.err.split('\n')[1]], [1, '    Name another file, or replace it: --force.']);
  assert.equal(readFileSync(file), first);
  assert.is((await oo(stateDir, ['backup', '--force', file])).code, 0);
  mkdirSync(join(folder, 'sub'));
  assert.is((await oo(stateDir, ['backup', '--force', join(folder, 'sub')])).code, 2);
  assert.is((await oo(stateDir, ['backup', join(folder, 'nowhere/x')])).code, 1);
  assert.equal(readdirSync(folder).sort(), ['oo.backup', 'sub'], 'nothing unfinished is left');
});

backup('a backup makes no key, and - is standard output and input', async () => {
  const stateDir = await filled();
  const { code, out, written } = await oo(stateDir, ['backup', '-']);
  assert.equal([code, out], [0, '']);
  assert.not(readdirSync(stateDir).includes('encryption.key'));
  const to = temporary();
  const restored = await oo(to, ['restore', '-'], { input: written });
  assert.equal([restored.code, restored.asked], [0, []], restored.err);
  assert.match(
    restored.out,
    /routes +1 {2}1 added\n[\s\S]*certificates stay as they are\n {2}with its history\nrestored: revision @2\n$/,
  );
  assert.is(await idsOf(to), 'a.test\n');
});

backup('a person is asked, with what it would do in view; anything but yes changes nothing', async () => {
  const stateDir = await filled();
  const file = join(temporary(), 'oo.backup');
  await oo(stateDir, ['backup', file]);
  await oo(stateDir, ['route', 'save', '--id', 'b.test', '--target', 'http://127.0.0.1:1']);
  for (const typed of ['', 'n', 'no']) {
    const { code, err, asked } = await oo(stateDir, ['restore', file], { typed });
    assert.equal([code, asked], [2, ['Replace all of it? [y/N] ']]);
    assert.match(err, /routes +1 {2}1 removed/);
    assert.is(await idsOf(stateDir), 'a.test\nb.test\n');
  }
  const dry = await oo(stateDir, ['restore', file, '--dry-run'], { typed: 'n' });
  assert.equal([dry.code, dry.asked], [0, []]);
  assert.is(await idsOf(stateDir), 'a.test\nb.test\n');
  assert.equal((await oo(stateDir, ['restore', file, '--yes'], { typed: 'n' })).asked, []);
  assert.is(await idsOf(stateDir), 'a.test\n');
  const yes = await oo(stateDir, ['restore', file, '-o', 'json'], { typed: 'y' });
  assert.is(yes.code, 0);
  assert.equal(JSON.parse(yes.out).routes, { now: 1, backup: 1, added: 0, changed: 0, removed: 0 });
});

backup('what is no backup is refused in one line and a hint', async () => {
  const stateDir = await filled();
  const file = join(temporary(), 'x');
  writeFileSync(file, 'hello');
  for (const [words, code] of [
    [['restore', file], 1],
    [['restore', `${file}.none`], 1],
    [['restore', temporary()], 2],
    [['restore'], 2],
    [['backup'], 2],
    [['restore', file, '--backup-key-file', `${file}.none`], 1],
    [['restore', file, '--server', 'http://127.0.0.1:1'], 2],
  ] as const) {
    const ran = await oo(stateDir, words);
    assert.is(ran.code, code, words.join(' '));
    assert.match(ran.err, /^oo: .+\n {4}.+\n$/, words.join(' '));
  }
  assert.is(await idsOf(stateDir), 'a.test\n');
});

backup('every command of docs/backup.md is there, with its flags', () => {
  const text = readFileSync(new URL('../../docs/backup.md', import.meta.url), 'utf8');
  const { cac } = createProgram(memoryIo(), '1');
  const lines = [...text.matchAll(/^oo (backup|restore) ([^#\n|]*)/gm)];
  assert.ok(lines.length >= 7);
  for (const [line, name, rest] of lines) {
    const command = cac.commands.find((one) => one.isMatched(name));
    for (const flag of rest.match(/--[a-z][a-z-]+/g) ?? [])
      assert.ok(command?.hasOption(flag.slice(2).replace(/-([a-z])/g, (_, c) => c.toUpperCase())), line);
  }
});

backup.run();
