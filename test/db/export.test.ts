import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createExport, folderName } from '../../db/export.ts';
import { startChild } from '../helpers/child.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { pairOf, wordsOf } from './export-pair.ts';

const files = suite('db: certificates as files');
const names = ['cert.pem', 'chain.pem', 'fullchain.pem', 'privkey.pem'];

function words(dir: string): Record<string, string[]> {
  return Object.fromEntries(readdirSync(dir).map((name) => [name, wordsOf(readFileSync(join(dir, name), 'utf8'))]));
}

function wordsOfVersion(n: number): Record<string, string[]> {
  return {
    'cert.pem': [`leaf ${n}`],
    'chain.pem': [`intermediate ${n}`],
    'fullchain.pem': [`leaf ${n}`, `intermediate ${n}`],
    'privkey.pem': [`key ${n}`],
  };
}

files('four files, in live/NAME; the key is for its owner only', async () => {
  const folder = join(temporary(), 'made');
  await createExport(folder).save(pairOf('a.example.com', 1));
  const dir = join(folder, 'certs/live/a.example.com');
  assert.equal(words(dir), wordsOfVersion(1));
  assert.equal(readdirSync(dir).sort(), names);
  for (const name of names) assert.is(statSync(join(dir, name)).mode & 0o777, name === 'privkey.pem' ? 0o600 : 0o644);
});

files('a certificate without intermediates, and texts without a last line end', async () => {
  const folder = temporary();
  const { chain, key, ...rest } = pairOf('a', 1);
  const leaf = chain.slice(0, chain.indexOf('-----BEGIN', 5)).trim();
  await createExport(folder).save({ ...rest, chain: leaf, key: key.trim() });
  const read = (name: string) => readFileSync(join(folder, 'certs/live/a', name), 'utf8');
  assert.is(read('chain.pem'), '');
  assert.is(read('cert.pem'), `${leaf}\n`);
  assert.is(read('fullchain.pem'), `${leaf}\n`);
  assert.is(read('privkey.pem'), key);
});

files('a new version takes the place of the old; that one stays for who is reading, older ones go', async () => {
  const folder = temporary();
  const { save } = createExport(folder);
  const dir = join(folder, 'certs/live/a');
  for (let n = 1; n <= 4; n++) await save(pairOf('a', n));
  assert.equal(words(dir), wordsOfVersion(4));
  assert.equal(readdirSync(join(folder, 'certs/archive/a')).sort(), ['3', '4']);
  assert.equal(words(join(folder, 'certs/archive/a/3')), wordsOfVersion(3));
  await save(pairOf('a', 4));
  assert.is(readlinkSync(dir), '../archive/a/4', 'the same again writes nothing');
});

files('files that were changed, or are gone, are written anew', async () => {
  const folder = temporary();
  const { sync } = createExport(folder);
  const dir = join(folder, 'certs/live/a');
  await sync([pairOf('a', 1)]);
  writeFileSync(join(dir, 'chain.pem'), 'changed');
  await sync([pairOf('a', 1)]);
  assert.equal(words(dir), wordsOfVersion(1));
});

files('whoever reads through an open folder, or again and again, never sees two versions', async () => {
  const folder = temporary();
  const { save } = createExport(folder);
  await save(pairOf('a', 1));
  const live = join(folder, 'certs/live/a');
  let n = 1;
  const writing = (async () => {
    while (n < 60) await save(pairOf('a', ++n));
  })();
  let reads = 0;
  while (n < 60) {
    // As a program does that resolves the folder once: by its descriptor.
    const fd = openSync(live, 'r');
    const dir = `/proc/self/fd/${fd}`;
    const seen = words(dir);
    closeSync(fd);
    const version = Number(seen['cert.pem'][0].slice('leaf '.length));
    assert.equal(seen, wordsOfVersion(version));
    reads += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writing;
  assert.ok(reads > 10, `${reads} reads`);
});

files('a removed certificate has no files; sync takes away what is not named, and nothing of others', async () => {
  const folder = temporary();
  const { save, remove, sync } = createExport(folder);
  const live = join(folder, 'certs/live');
  for (const id of ['a', 'b', 'c']) await save(pairOf(id, 1));
  await remove('a');
  await remove('not.there');
  assert.equal(readdirSync(live).sort(), ['b', 'c']);
  assert.equal(readdirSync(join(folder, 'certs/archive')).sort(), ['b', 'c']);
  mkdirSync(join(live, 'theirs'));
  symlinkSync('/etc', join(live, 'link'));
  writeFileSync(join(live, 'README'), '');
  await sync([pairOf('c', 1), pairOf('d', 1)]);
  assert.equal(readdirSync(live).sort(), ['README', 'c', 'd', 'link', 'theirs']);
  assert.ok(existsSync('/etc/passwd'));
  await remove('theirs');
  await remove('link');
  assert.ok(existsSync(join(live, 'theirs')));
  assert.is(readlinkSync(join(live, 'link')), '/etc');
});

files('sync without any certificates and without a folder', async () => {
  const folder = join(temporary(), 'none');
  await createExport(folder).sync([]);
  assert.not(existsSync(folder));
});

files("another program's folder of that name is moved, not lost", async () => {
  const folder = temporary();
  const dir = join(folder, 'certs/live/a');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'cert.pem'), 'theirs');
  await createExport(folder).save(pairOf('a', 1));
  assert.equal(words(dir), wordsOfVersion(1));
  const [replaced] = readdirSync(join(folder, 'certs/replaced'));
  assert.match(replaced, /^a-\d+$/);
  assert.is(readFileSync(join(folder, 'certs/replaced', replaced, 'cert.pem'), 'utf8'), 'theirs');
});

files('a group that may read the key may read the next one', async () => {
  const folder = temporary();
  const { save } = createExport(folder);
  const key = join(folder, 'certs/live/a/privkey.pem');
  await save(pairOf('a', 1));
  chmodSync(key, 0o640);
  await save(pairOf('a', 2));
  assert.is(statSync(key).mode & 0o777, 0o640);
  chmodSync(key, 0o604);
  await save(pairOf('a', 3));
  assert.is(statSync(key).mode & 0o777, 0o600, 'all the world is no group');
});

files('names of folders: the common name as it is, and nothing that leads elsewhere', async () => {
  for (const plain of [
    'example.com',
    '*.example.com',
    'example.com+rsa',
    '192.0.2.1',
    '2001:db8::1',
    'xn--bcher-kva.example',
    'a_b',
  ]) {
    assert.is(folderName(plain), plain);
  }
  const odd = [
    '',
    '.',
    '..',
    '../x',
    '/etc',
    'a/b',
    'a\\b',
    'a\0b',
    '.hidden',
    '-rf',
    'a b',
    'ü',
    '%',
    '%2E',
    'a\nb',
    'x'.repeat(300),
    `${'x'.repeat(300)}y`,
  ];
  const made = odd.map(folderName);
  for (const name of made) assert.match(name, /^[\w%*+:@][\w.%*+:@-]{0,199}$/);
  assert.is(new Set(made).size, odd.length);
  const folder = temporary();
  const { save, remove } = createExport(folder);
  for (const id of odd) await save(pairOf(id, 1));
  assert.equal(readdirSync(folder), ['certs']);
  assert.equal(readdirSync(join(folder, 'certs')).sort(), ['archive', 'live']);
  assert.equal(readdirSync(join(folder, 'certs/live')).sort(), [...made].sort());
  for (const id of odd) await remove(id);
  assert.equal(readdirSync(join(folder, 'certs/live')), []);
  assert.equal(readdirSync(join(folder, 'certs/archive')), []);
});

files('killed at any time: the files that are there belong together, and the next start goes on', async () => {
  const folder = temporary();
  const dir = join(folder, 'certs/live/a.example.com');
  for (let loop = 0; loop < 5; loop++) {
    const child = startChild(join(import.meta.dirname, 'fixtures/export.ts'), [folder]);
    await until(() => child.lines().length > 2, 20_000);
    await new Promise((resolve) => setTimeout(resolve, (loop * 7) % 23));
    await child.kill('SIGKILL');
    const version = Number(wordsOf(readFileSync(join(dir, 'cert.pem'), 'utf8'))[0].slice('leaf '.length));
    assert.ok(version >= Number(child.lines().at(-1)));
    assert.equal(words(dir), wordsOfVersion(version));
  }
  await createExport(folder).save(pairOf('a.example.com', 0));
  assert.equal(words(dir), wordsOfVersion(0));
  assert.is(readdirSync(join(folder, 'certs/archive/a.example.com')).length, 2, 'what was unfinished is gone');
});

files('what goes wrong is told with its path, and the next call works', async () => {
  const folder = temporary();
  writeFileSync(join(folder, 'certs'), '');
  const { save } = createExport(folder);
  await save(pairOf('a', 1)).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, folder),
  );
  rmSync(join(folder, 'certs'));
  await save(pairOf('a', 1));
  assert.equal(words(join(folder, 'certs/live/a')), wordsOfVersion(1));
});

files.run();
