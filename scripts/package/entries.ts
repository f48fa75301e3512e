import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where `npm run package` puts what package.json's `exports` and `files` name, from the project's root. */
export const OUT = 'dist/package';

/** What package.json says of the package. */
export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  /** By subpath: a file, or files by the runtime's conditions, of which `types` is the first. */
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

export function readManifest(root: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}

/**
 * The package's entries, as `exports` names them.
 * @returns by the name of the file that is made: `index` → `src/index.ts`, and the like
 * @throws Error for an export that is not such a file
 */
export function entries({ exports }: Manifest): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [subpath, conditions] of Object.entries(exports)) {
    if (typeof conditions === 'string') continue;
    for (const [condition, file] of Object.entries(conditions)) {
      const [, types = '', name, end] = /^\.\/dist\/package\/(types\/src\/)?([\w-]+)(\.d\.ts|\.js)$/.exec(file) ?? [];
      if (name === undefined || (condition === 'types') !== (types !== '' && end === '.d.ts'))
        throw new Error(
          `package.json: '${condition}' of '${subpath}' is ${file}, which is not made from a file in src`,
        );
      found[name] = `src/${name}.ts`;
    }
  }
  return found;
}
