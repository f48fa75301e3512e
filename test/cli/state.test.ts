import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clearSocket, databasePath, lockPath, makeStateDir, resolveStateDir, socketPath } from '../../cli/state.ts';
import { temporary } from '../helpers/temporary.ts';

const state = suite('cli: the state directory');

state('what is given, else XDG_STATE_HOME, else HOME', () => {
  assert.is(resolveStateDir('/x/y', { HOME: '/h', XDG_STATE_HOME: '/s' }), '/x/y');
  assert.is(resolveStateDir('x', {}), resolve('x'));
  assert.is(resolveStateDir(undefined, { HOME: '/h', XDG_STATE_HOME: '/s' }), '/s/oo');
  assert.is(resolveStateDir(undefined, { HOME: '/h', XDG_STATE_HOME: 'relative' }), '/h/.local/state/oo');
  assert.is(resolveStateDir(undefined, { HOME: '/h' }), '/h/.local/state/oo');
});

state('it is made with mode 0700, its parents too; one that is there stays as it is', () => {
  const dir = join(temporary(), 'a/b');
  makeStateDir(dir);
  assert.is(statSync(dir).mode & 0o777, 0o700);
  chmodSync(dir, 0o750);
  makeStateDir(dir);
  assert.is(statSync(dir).mode & 0o777, 0o750);
});

state('one that can not be is one clear error', () => {
  const file = join(temporary(), 'file');
  writeFileSync(file, '');
  for (const [dir, why] of [
    [file, 'it is a file'],
    [join(file, 'below'), 'a part of its path is a file'],
  ]) {
    try {
      makeStateDir(dir);
      assert.unreachable();
    } catch (error) {
      const { message, hint, exitCode } = error as { message: string; hint: string; exitCode: number };
      assert.is(message, `The state directory ${dir} can't be used: ${why}.`);
      assert.match(hint, /--state-dir DIR or OO_STATE_DIR/);
      assert.is(exitCode, 1);
    }
  }
});

state('its files', () => {
  assert.equal([databasePath('/x'), lockPath('/x'), socketPath('/x')], ['/x/oo.db', '/x/oo.lock', '/x/oo.sock']);
});

state("a path longer than a socket's address leads through /proc, to the same file", () => {
  const dir = join(temporary(), 'x'.repeat(120));
  mkdirSync(dir);
  const path = socketPath(dir);
  assert.match(path, /^\/proc\/self\/fd\/\d+\/oo\.sock$/);
  assert.is(socketPath(dir), path, 'one open directory, however often it is asked for');
  writeFileSync(path, '');
  assert.ok(existsSync(join(dir, 'oo.sock')));
  assert.is(clearSocket(dir), path);
  assert.not.ok(existsSync(join(dir, 'oo.sock')));
});

state.run();
