import { EventEmitter } from 'node:events';
import { cac } from 'cac';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addHashCommand, hashPassword } from '../../cli/hash.ts';
import type { Io } from '../../cli/io.ts';
import { createProgram } from '../../cli/program.ts';
import { type AskSecret, readSecret } from '../../cli/secret.ts';
import { parseScryptHash, type ScryptHash } from '../../src/core/scrypt-hash.ts';
import { Passwords } from '../../src/edge/guard-passwords.ts';
import { memoryIo } from '../helpers/memory-io.ts';

const hash = suite('oo hash');

const isOf = (text: string, password: string) =>
  new Promise<boolean>((resolve) => {
    const known = { hash: parseScryptHash(text) as ScryptHash, text };
    new Passwords().check(known, password, 'c', (verdict) => resolve(verdict === 'right'));
  });

hash('from standard input: one line that a route takes', async () => {
  const io = memoryIo({}, 'pässwörd\n');
  assert.is(await createProgram(io, '1').run(['hash']), 0);
  assert.match(io.said.out, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\n$/);
  assert.is(await isOf(io.said.out.trim(), 'pässwörd'), true);
  assert.is(await isOf(io.said.out.trim(), 'passwort'), false);
  assert.is.not(await hashPassword('a'), await hashPassword('a'));
});

/** Runs it as at a terminal. */
async function typed(...lines: string[]): Promise<{ out: string; error: string }> {
  const io: Io = memoryIo();
  const program = cac('oo');
  const asked: string[] = [];
  const ask: AskSecret = async (question) => {
    asked.push(question);
    return lines.shift() as string;
  };
  addHashCommand(program, io, () => ask);
  program.parse(['node', 'oo', 'hash'], { run: false });
  let error = '';
  await Promise.resolve(program.runMatchedCommand()).catch((cause: Error) => {
    error = cause.message;
  });
  return { out: (io as ReturnType<typeof memoryIo>).said.out, error };
}

hash('at a terminal: twice the same', async () => {
  assert.match((await typed('abc', 'abc')).out, /^\$scrypt\$/);
  const other = await typed('abc', 'abd');
  assert.is(other.out, '');
  assert.match(other.error, 'not the same');
});

hash('what is no password', async () => {
  for (const [input, expected] of [
    ['', 'empty'],
    ['\n', 'empty'],
    ['two\nlines\n', 'several lines'],
    ['a\0b', 'control character'],
    ['x'.repeat(1_001), 'longer than 1000'],
  ]) {
    const io = memoryIo({}, input);
    assert.is(await createProgram(io, '1').run(['hash']), 1);
    assert.match(io.said.err, expected);
    assert.is(io.said.out, '');
  }
  const io = memoryIo({}, 'x');
  assert.is(await createProgram(io, '1').run(['hash', 'secret']), 2);
  assert.match(io.said.err, 'history of your shell');
  assert.not.match(io.said.err, 'secret');
});

hash('keys that are typed are not shown; backspace, Ctrl-U, Ctrl-C', async () => {
  const type = (...chunks: (string | Buffer)[]) => {
    const modes: boolean[] = [];
    const input = Object.assign(new EventEmitter(), {
      setRawMode: (on: boolean) => modes.push(on),
      resume: () => {},
      pause: () => {},
    });
    let said = '';
    const line = readSecret('Password: ', input, (text) => {
      said += text;
    });
    for (const chunk of chunks) input.emit('data', Buffer.from(chunk as string));
    return { line, modes, said: () => said, listeners: () => input.listenerCount('data') };
  };
  const plain = type('se', 'cret\r');
  assert.is(await plain.line, 'secret');
  assert.is(plain.said(), 'Password: \n');
  assert.equal(plain.modes, [true, false]);
  assert.is(plain.listeners(), 0);
  const bytes = Buffer.from('xü€\r');
  assert.is(await type(bytes.subarray(0, 2), bytes.subarray(2, 4), bytes.subarray(4)).line, 'xü€');
  assert.is(await type('no\x15ab\x7f\x7f\x7fc\r').line, 'c');
  const cancelled = type('se\x03');
  await cancelled.line.then(
    () => assert.unreachable(),
    ({ exitCode }) => assert.is(exitCode, 2),
  );
  assert.equal(cancelled.modes, [true, false]);
});

hash.run();
