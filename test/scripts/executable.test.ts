import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildExecutable, needRoot } from '../helpers/sandbox.ts';

// fixtures/probe.ts, built like dist/oo: what the way of building must be able to do, whatever oo itself does.
const directory = mkdtempSync(join(tmpdir(), 'executable-'));
const probe = join(directory, 'probe');
const source = 'test/scripts/fixtures/probe.ts';

/** Runs a program in an empty directory and without an environment. */
function runAlone(command: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const cwd = mkdtempSync(join(directory, 'empty-'));
  chmodSync(cwd, 0o777);
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 40_000 });
  return { status, stdout, stderr, left: readdirSync(cwd) };
}

/**
 * Runs the probe in a mount namespace of its own in which /tmp, /dev/shm and home allow no programs.
 * The test's directory is at /mnt there.
 * @returns also what stands in /tmp and /dev/shm afterwards
 */
function runMounted(args: { shm: 'exec' | 'noexec'; stateDir?: string }) {
  const script = `set -e
    mount --bind ${directory} /mnt
    mount -t tmpfs -o noexec,mode=1777 none /tmp
    mount -t tmpfs -o ${args.shm},mode=1777 none /dev/shm
    code=0; /mnt/probe || code=$?
    ls -A /tmp /dev/shm | grep -v : >&2 || true
    exit $code`;
  const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', ...(args.stateDir && { OO_STATE_DIR: args.stateDir }) };
  return runAlone('/usr/bin/unshare', ['--mount', '--propagation', 'private', '/bin/sh', '-c', script], env);
}

const works = (run: ReturnType<typeof runAlone>) => {
  assert.is(run.status, 0, run.stderr);
  const said = JSON.parse(run.stdout);
  assert.equal([said.sea, said.answer, said.lazy, said.fromChild], [true, 42, true, { reusePort: true }]);
  assert.equal(run.left, []);
};

const executable = suite('executable');

executable.before(() => {
  chmodSync(directory, 0o755);
  buildExecutable(source, probe);
});
executable.after(() => rmSync(directory, { recursive: true, force: true }));

executable('alone, in an empty directory, without an environment: libsql, lazy imports, a child of itself', () => {
  works(runAlone(probe));
  assert.equal(
    readdirSync(tmpdir()).filter((name) => name.includes('.node')),
    [],
  );
});

executable("takes no orders from NODE_OPTIONS, which is for somebody's own programs", () => {
  works(runAlone(probe, [], { NODE_OPTIONS: '--require /nonexistent.js' }));
});

executable('says the version that package.json and git say', () => {
  const { version } = JSON.parse(runAlone(probe).stdout);
  assert.match(version, /^\d+\.\d+\.\d+( \([0-9a-f]{7,}(, changed)?\))?$/);
});

executable('as nobody, with a file capability', () => {
  needRoot();
  const capable = join(directory, 'capable');
  copyFileSync(probe, capable);
  assert.is(spawnSync('/usr/sbin/setcap', ['cap_net_bind_service=+ep', capable]).status, 0);
  works(runAlone('/usr/bin/setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', capable]));
});

executable('starts a child of the same program when its own file has been replaced meanwhile', () => {
  const replaced = join(directory, 'replaced');
  const replacement = join(directory, 'replacement');
  copyFileSync(probe, replaced);
  writeFileSync(replacement, '#!/bin/sh\nexit 9\n', { mode: 0o755 });
  works(runAlone(replaced, [':memory:', replacement]));
  assert.is(runAlone(replaced).status, 9);
});

executable('loads libsql from /dev/shm when the temporary directory is mounted noexec', () => {
  needRoot();
  const run = runMounted({ shm: 'exec' });
  works(run);
  assert.is(run.stderr.trim(), '');
});

executable('loads libsql from the state directory when /dev/shm is mounted noexec too', () => {
  needRoot();
  const state = join(directory, 'state');
  mkdirSync(state);
  works(runMounted({ shm: 'noexec', stateDir: '/mnt/state' }));
  assert.equal(readdirSync(state), []);
});

executable('says where it tried and what to do when no directory allows programs', () => {
  needRoot();
  const run = runMounted({ shm: 'noexec' });
  assert.is.not(run.status, 0);
  for (const place of ['/tmp: ', '/dev/shm: ', '/nonexistent: ', 'Set TMPDIR to'])
    assert.ok(run.stderr.includes(place), place);
});

executable('a second build is up to date, one whose executable was touched is not', () => {
  const out = join(directory, 'again');
  assert.match(buildExecutable(source, out), / built in /);
  assert.match(buildExecutable(source, out), / is up to date in /);
  writeFileSync(out, 'not an executable');
  assert.match(buildExecutable(source, out), / built in /);
  works(runAlone(out));
});

executable.run();
