import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { needRoot } from '../helpers/sandbox.ts';

// dist/oo itself, copied alone to an empty directory.
const root = join(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'alone-'));
const alone = join(directory, 'oo');
const NOBODY = 65_534;

const oo = suite('the executable dist/oo');

oo.before(() => {
  chmodSync(directory, 0o755);
  copyFileSync(join(root, 'dist/oo'), alone);
});
oo.after(() => rmSync(directory, { recursive: true, force: true }));

oo('alone, without an environment, says its version', () => {
  const { status, stdout, stderr } = spawnSync(alone, ['--version'], { cwd: directory, env: {}, encoding: 'utf8' });
  assert.equal([status, stderr], [0, '']);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  assert.match(stdout, new RegExp(`^oo ${version.replaceAll('.', '\\.')}( \\([0-9a-f]{7,}(, changed)?\\))?\\n$`));
  assert.equal(readdirSync(directory), ['oo']);
});

oo('serves on port 80 as nobody after setcap', () => {
  needRoot();
  assert.is(spawnSync('/usr/sbin/setcap', ['cap_net_bind_service=+ep', alone]).status, 0);
  const home = join(directory, 'home');
  mkdirSync(home);
  chownSync(home, NOBODY, NOBODY);
  // A network of its own, so that the port is free. Where a container forbids that, the machine's.
  const inside = spawnSync('unshare', ['--net', 'true']).status === 0 ? ['unshare', '--net'] : ['env'];
  const fixture = join(import.meta.dirname, 'fixtures/port-80.ts');
  const [command, ...args] = [...inside, process.execPath, fixture, alone, home];
  const { stdout, stderr } = spawnSync(command!, args, { encoding: 'utf8', timeout: 30_000 });
  const lines = stdout.trim().split('\n');
  assert.equal(
    JSON.parse(lines.at(-1) || 'null'),
    { save: 0, status: 200, body: 'upstream saw localhost/hello?x=1', code: 0 },
    stderr,
  );
});

oo.run();
