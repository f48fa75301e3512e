import { posix } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { statementsOf } from '../../scripts/package/declaration-file.ts';
import { reachable } from '../../scripts/package/reachable.ts';

const declarations = suite('declarations of the package');

/** @returns what is left of the files of a package whose entry is `/index.d.ts` */
function left(files: Readonly<Record<string, string>>): Record<string, string> {
  const read = (path: string) => files[path] ?? assert.unreachable(`${path} is read`);
  const resolve = (from: string, module: string) =>
    posix.resolve(posix.dirname(from), module.replace(/\.ts$/, '.d.ts'));
  const found = reachable(['/index.d.ts'], read as (path: string) => string, resolve);
  return Object.fromEntries([...found].map(([path, text]) => [path, text.trim()]));
}

declarations('what no export needs is left out, with the packages that it needs', () => {
  const files = {
    '/index.d.ts': "export { open, type Options } from './open.ts';\n",
    '/open.d.ts': [
      "import * as v from 'valibot';",
      "import type { Place, Unused } from './place.ts';",
      '/** Kept, with its comment. */',
      'export interface Options {',
      '    readonly place: Place;',
      '}',
      'export declare const schema: v.Schema<Unused>;',
      'export declare function open(options: Options): void;',
      'declare const _default: Unused;',
      'export default _default;',
      '',
    ].join('\n'),
    '/place.d.ts': 'export type Place = { path: string };\nexport type Unused = 1;\n',
  };
  assert.throws(() => left(files), /can't read:\nexport default/);
  files['/open.d.ts'] = files['/open.d.ts'].replace('export default _default;\n', '');
  assert.equal(left(files), {
    '/index.d.ts': "export { open, type Options } from './open.js';",
    '/open.d.ts': [
      "import type { Place } from './place.js';",
      '/** Kept, with its comment. */',
      'export interface Options {',
      '    readonly place: Place;',
      '}',
      'export declare function open(options: Options): void;',
    ].join('\n'),
    '/place.d.ts': 'export type Place = { path: string };',
  });
});

declarations('names are followed through exports from elsewhere, stars, lists, other names and import()', () => {
  const kept = left({
    '/index.d.ts': "export type * from './all.ts';\nexport { type B as Bee } from './b.ts';\n",
    '/all.d.ts': "export * from './a.ts';\nexport type All = import('./c.ts').C;\n",
    '/a.d.ts': "import type { D as Dee, E } from './d.ts';\ntype A = Dee;\nexport type { A, E };\n",
    '/b.d.ts': 'export type B = 2;\nexport type B2 = 22;\n',
    '/c.d.ts': 'export type C = 3;\nexport type C2 = 33;\n',
    '/d.d.ts': 'export type D = 4;\nexport type E = 5;\nexport type F = 6;\n',
  });
  assert.equal(kept, {
    '/index.d.ts': "export type * from './all.js';\nexport { type B as Bee } from './b.js';",
    '/all.d.ts': "export * from './a.js';\nexport type All = import('./c.js').C;",
    '/a.d.ts': "import type { D as Dee, E } from './d.js';\ntype A = Dee;\nexport type { A, E };",
    '/b.d.ts': 'export type B = 2;',
    '/c.d.ts': 'export type C = 3;',
    '/d.d.ts': 'export type D = 4;\nexport type E = 5;',
  });
});

declarations('a name that is nowhere is an error', () => {
  const files = { '/index.d.ts': "export type { A } from './a.ts';\n", '/a.d.ts': 'export type B = 1;\n' };
  assert.throws(() => left(files), /\.\/a\.ts has no A/);
});

declarations('statements end where tsc ends them, also between two comments', () => {
  const statements = [
    "/** It's one. */\nexport type A = \n/** first; */\n{\n    a: '{';\n}\n/** second */\n | {\n    b: 1;\n};",
    'export interface B {\n    /** { */\n    b: 1;\n}',
    'export declare class C {\n    #private;\n}',
    'export declare function d(): {\n    e: 1;\n};',
    'export {};',
  ];
  assert.equal(
    statementsOf(`${statements.join('\n')}\n`).map(({ text }) => text),
    statements,
  );
});

declarations.run();
