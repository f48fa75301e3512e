import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadBytes } from '../../scripts/sea/load-addon.ts';

// What it does in a real executable: executable.test.ts.
const addon = fs.readFileSync(join(import.meta.dirname, '../../node_modules/@libsql/linux-x64-gnu/index.node'));
const { openSync } = fs;
const O_TMPFILE_ONLY = 0o20000000;

const loadAddon = suite('load addon');

loadAddon.after.each(() => {
  fs.openSync = openSync;
  syncBuiltinESMExports();
});

loadAddon('leaves no file behind', () => {
  const opened = watchOpen(() => {});
  assert.type((loadBytes(addon) as { databaseOpen: unknown }).databaseOpen, 'function');
  assert.equal(opened, [tmpdir()]);
  assert.equal(fs.readdirSync(tmpdir()), []);
});

loadAddon('leaves no file behind on a file system without O_TMPFILE either', () => {
  const opened = watchOpen((flags) => {
    if (flags & O_TMPFILE_ONLY)
      throw Object.assign(new Error('EOPNOTSUPP: operation not supported'), { code: 'EOPNOTSUPP' });
  });
  assert.type((loadBytes(addon) as { databaseOpen: unknown }).databaseOpen, 'function');
  assert.is(opened.length, 2);
  assert.ok(opened[1]!.startsWith(join(tmpdir(), '.oo-')));
  assert.equal(fs.readdirSync(tmpdir()), []);
});

/** @returns the paths that loadBytes opens for writing */
function watchOpen(before: (flags: number) => void): string[] {
  const opened: string[] = [];
  fs.openSync = ((path: string, flags: number, mode: number) => {
    opened.push(path);
    before(flags);
    return openSync(path, flags, mode);
  }) as typeof fs.openSync;
  syncBuiltinESMExports();
  return opened;
}

loadAddon.run();
