import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const root = join(import.meta.dirname, '../..');
const systemPath = '/usr/local/bin:/usr/bin:/bin';

/** A directory that stands for a clone, with a `npm` of ours first in the path. */
function clone(npm: string): { directory: string; env: NodeJS.ProcessEnv } {
  const directory = mkdtempSync(join(tmpdir(), 'clone-'));
  for (const name of ['scripts', '.ci', 'bin', 'node_modules/.bin'])
    mkdirSync(join(directory, name), { recursive: true });
  for (const name of ['scripts/bootstrap.mjs', 'scripts/launch.mjs', '.ci/run'])
    copyFileSync(join(root, name), join(directory, name));
  writeFileSync(join(directory, 'bin/npm'), `#!/bin/sh\n${npm}\n`, { mode: 0o755 });
  return { directory, env: { PATH: `${join(directory, 'bin')}:${systemPath}` } };
}

const ci = suite('.ci/run');

const runs: [what: string, npm: string, last: string, code: number][] = [
  ['a good run', 'echo "12 passed, 0 failed"; echo "npm notice" >&2', '12 passed, 0 failed', 0],
  ['failed tests', 'echo "11 passed, 1 failed"; echo "npm error" >&2; exit 1', '11 passed, 1 failed', 1],
  ['no tests', 'echo "nothing here"', '0 passed, 1 failed', 1],
  ['a crash before the summary', 'echo "ok test/a.test.ts: 3 passed, 0 failed, 1 s"; exit 7', '0 passed, 1 failed', 7],
  ['a command that reads stdin', 'read line && echo "1 passed, 0 failed"', '0 passed, 1 failed', 1],
];
for (const [what, npm, last, code] of runs) {
  ci(`${what}: the last line and the exit code`, () => {
    const { directory, env } = clone(npm);
    const { status, stdout } = spawnSync(join(directory, '.ci/run'), {
      env,
      encoding: 'utf8',
      input: 'something\n',
      timeout: 30_000,
    });
    assert.equal([stdout.trimEnd().split('\n').at(-1), status], [last, code]);
    rmSync(directory, { recursive: true });
  });
}

const install = suite('install');

const lock = (packages: object) => JSON.stringify({ lockfileVersion: 3, packages });
const wanted = {
  '': { name: 'oo' },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/b': { version: '1.0.0', integrity: 'sha512-b', optional: true },
};
const a = { version: '1.0.0', integrity: 'sha512-a' };
const installs: [what: string, have: object | undefined, installs: boolean][] = [
  ['nothing is installed', undefined, true],
  ['what the lock says is installed, without an optional package', { 'node_modules/a': a }, false],
  ['an older version is installed', { 'node_modules/a': { ...a, version: '0.9.0' } }, true],
  ['other bytes are installed', { 'node_modules/a': { ...a, integrity: 'sha512-x' } }, true],
  ['a package is missing', {}, true],
  ['a package is left over', { 'node_modules/a': a, 'node_modules/c': a }, true],
];
for (const [what, have, expected] of installs) {
  install(`${what}: npm ci ${expected ? 'runs' : 'does not run'}`, () => {
    // This npm "installs" the pinned Node and notes what it was asked.
    const { directory, env } = clone('echo "$*" >asked; ln -sf "$REAL_NODE" node_modules/.bin/node');
    writeFileSync(join(directory, 'package-lock.json'), lock(wanted));
    if (have) {
      writeFileSync(join(directory, 'node_modules/.package-lock.json'), lock(have));
      symlinkSync(process.execPath, join(directory, 'node_modules/.bin/node'));
    }
    writeFileSync(
      join(directory, 'say.ts'),
      'const text: string = process.execPath;\nconsole.log(text);\nprocess.exitCode = 3;\n',
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/launch.mjs', 'say.ts'], {
      cwd: directory,
      env: { ...env, REAL_NODE: process.execPath },
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.equal([status, stdout.trim()], [3, process.execPath], stderr);
    const asked = join(directory, 'asked');
    assert.is(existsSync(asked) && readFileSync(asked, 'utf8').startsWith('ci '), expected);
    rmSync(directory, { recursive: true });
  });
}

install('npm ci fails: says so and ends', () => {
  const { directory, env } = clone('exit 1');
  const { status, stderr } = spawnSync(process.execPath, ['scripts/launch.mjs', 'say.ts'], {
    cwd: directory,
    env,
    encoding: 'utf8',
  });
  assert.is(status, 1);
  assert.match(stderr, 'npm ci failed');
  rmSync(directory, { recursive: true });
});

const npmTest = suite('npm test');

npmTest('a word that no test file has is a failure', () => {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/test.ts', 'no-file-has-this'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal([stdout.trimEnd().split('\n').at(-1), status], ['0 passed, 1 failed', 1]);
});

ci.run();
install.run();
npmTest.run();
