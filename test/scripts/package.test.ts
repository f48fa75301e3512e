import { copyFileSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureInstalled } from '../../scripts/test/install.ts';
import { packPackage, root, runChecked, write } from '../helpers/npm-package.ts';

// What `npm pack` packs, as those see it who judge packages.
const directory = mkdtempSync(join(tmpdir(), 'package-'));
const checkers = join(import.meta.dirname, 'fixtures/checkers');
const { tarball, files } = await packPackage(directory);
runChecked('tar', ['-xzf', tarball, '-C', directory], directory);
const unpacked = join(directory, 'package');
const textOf = (path: string) => readFileSync(join(unpacked, path), 'utf8');

/** What publint and "Are the types wrong?" find. */
function judge(path: string): { publint: string[]; types: string[] } {
  ensureInstalled(checkers);
  return JSON.parse(runChecked(process.execPath, ['judge.mjs', path], checkers));
}

const contents = suite('the package: what is in it');

const expected = [
  /^(LICENSE|README\.md|package\.json)$/,
  /^dist\/package\/(index|node|store|store-web)\.js$/,
  /^dist\/package\/chunks\/[\w-]+\.js$/,
  /^dist\/package\/NOTICES\.txt$/,
  /^dist\/package\/types\/(src|db)\/([\w-]+\/)*[\w-]+\.d\.ts$/,
];

contents('code, types, licences and README; no sources, no tests, no scripts', () => {
  assert.equal(
    files.filter((path) => !expected.some((pattern) => pattern.test(path))),
    [],
  );
  assert.equal(
    expected.filter((pattern) => !files.some((path) => pattern.test(path))),
    [],
  );
});

contents('every module that code or types name is there: in it, of Node, or in package.json', () => {
  const { dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(textOf('package.json'));
  assert.equal(Object.keys(dependencies), ['hono']);
  assert.equal(Object.keys(peerDependenciesMeta), Object.keys(peerDependencies), 'a peer is optional');
  const known = new Set(Object.keys({ ...dependencies, ...peerDependencies }));
  const strangers: string[] = [];
  for (const path of files.filter((file) => /\.(js|d\.ts)$/.test(file))) {
    const code = textOf(path).replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '');
    for (const [, from] of code.matchAll(
      /(?:^(?:(?:import|export)\b.*|}) from |\bimport\(|^import )["']([^"'\n]+)["']/gm,
    )) {
      const name = from.startsWith('@') ? from.split('/', 2).join('/') : from.split('/')[0];
      if (from.startsWith('.')) {
        const file = join(path, '..', path.endsWith('.d.ts') ? from.replace(/\.js$/, '.d.ts') : from);
        if (!files.includes(file)) strangers.push(`${path}: ${from}`);
      } else if (!from.startsWith('node:') && !known.has(name)) strangers.push(`${path}: ${from}`);
    }
  }
  assert.equal(strangers, []);
});

contents('where the package of other people went in, its licence is there', () => {
  assert.match(textOf('dist/package/NOTICES.txt'), /^# drizzle-orm [\d.]+ \(Apache-2\.0\)\n\nApache License$/m);
});

const judged = suite('the package: judged');

judged('publint finds nothing; types are right for ESM, by nodenext and by bundlers', () => {
  const { publint, types } = judge(tarball);
  assert.equal(publint, []);
  // It has no CommonJS, and needs a TypeScript that knows `exports` (moduleResolution node10 does not).
  assert.equal(
    types.filter((problem) => !/^(CJSResolvesToESM|NoResolution) \S+ (node16-cjs|node10)$/.test(problem)),
    [],
  );
});

judged('a package that is wrong is found out', () => {
  const wrong = join(directory, 'wrong');
  mkdirSync(wrong);
  copyFileSync(join(root, 'LICENSE'), join(wrong, 'LICENSE'));
  write(wrong, {
    'package.json': JSON.stringify({
      name: 'wrong',
      version: '1.0.0',
      files: ['dist'],
      exports: { '.': { default: './dist/gone.js', types: './dist/index.d.ts' } },
    }),
    'dist/index.d.ts': 'export declare const a: number;\n',
  });
  runChecked('npm', ['pack', '--pack-destination', directory], wrong);
  const { publint, types } = judge(join(directory, 'wrong-1.0.0.tgz'));
  assert.match(publint.join('\n'), 'dist/gone.js');
  assert.ok(types.length > 0);
});

contents.run();
judged.run();
