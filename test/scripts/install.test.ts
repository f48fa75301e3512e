import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureInstalled } from '../../scripts/test/install.ts';
import { temporary } from '../helpers/temporary.ts';

const install = suite("packages of the tests' own");
const path = process.env.PATH;
install.after.each(() => {
  process.env.PATH = path;
});

const lock = (packages: object) => JSON.stringify({ lockfileVersion: 3, packages });
const named = { '': { optionalDependencies: { a: '1.0.0' } } };
const a = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a', optional: true } };
const other = { 'node_modules/b': { version: '1.0.0', integrity: 'sha512-b', optional: true } };

/** A package whose lock is this, and a `npm` that notes that it was called, and then does as told. */
function packageOf(packages: object, npm: string): { directory: string; calls(): string } {
  const directory = temporary();
  const bin = temporary();
  writeFileSync(join(directory, 'package-lock.json'), lock(packages));
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\necho "$@" >> calls\nmkdir -p node_modules\n${npm}\n`, { mode: 0o755 });
  process.env.PATH = `${bin}:${path}`;
  const calls = join(directory, 'calls');
  return { directory, calls: () => (existsSync(calls) ? readFileSync(calls, 'utf8') : '') };
}

/** What npm leaves when it is done. */
function installed(directory: string, packages: object): void {
  mkdirSync(join(directory, 'node_modules'), { recursive: true });
  writeFileSync(join(directory, 'node_modules/.package-lock.json'), lock(packages));
}

const record = (packages: object) => `cat > node_modules/.package-lock.json <<'END'\n${lock(packages)}\nEND`;

install('what is not there is installed as the lock says, once', () => {
  const { directory, calls } = packageOf({ ...named, ...a }, record(a));
  ensureInstalled(directory);
  ensureInstalled(directory);
  assert.is(calls(), 'ci --no-audit --no-fund\n');
});

install('what is not as the lock says is installed anew', () => {
  const { directory, calls } = packageOf({ ...named, ...a }, record(a));
  installed(directory, { 'node_modules/a': { version: '0.9.0', integrity: 'sha512-old' } });
  ensureInstalled(directory);
  assert.is(calls(), 'ci --no-audit --no-fund\n');
});

install('what others want for other platforms may be missing', () => {
  const { directory, calls } = packageOf({ ...named, ...a, ...other }, 'exit 1');
  installed(directory, a);
  ensureInstalled(directory);
  assert.is(calls(), '');
});

install('what the package itself names must be there, though npm leaves it out in silence', () => {
  const { directory } = packageOf({ ...named, ...a }, record({}));
  assert.throws(() => ensureInstalled(directory), /left something out.*linux-x64/);
});

install('what npm says when it fails is told', () => {
  const { directory } = packageOf({ ...named, ...a }, 'echo "no network" >&2; exit 1');
  assert.throws(() => ensureInstalled(directory), /npm ci in .* failed: no network/);
});

install.run();
