import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where `npm run package` puts what package.json's `exports` and `files` name, from the project's root. */
export const OUT = 'dist/package';

/**
 * The package's entries, as package.json's `exports` names them.
 * @returns by the name of the file that is made: `index` → `src/index.ts`, and the like
 * @throws Error for an export that is not such a file
 */
export function entries(root: string): Record<string, string> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { readonly default: string }>;
  };
  const found: Record<string, string> = {};
  for (const [subpath, target] of Object.entries(exports)) {
    if (typeof target === 'string') continue;
    const name = /^\.\/dist\/package\/(\w+)\.js$/.exec(target.default)?.[1];
    if (name === undefined) throw new Error(`package.json: the default of '${subpath}' is not a ./${OUT}/NAME.js`);
    found[name] = `src/${name}.ts`;
  }
  return found;
}
