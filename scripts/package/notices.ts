import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text of a licence that a package names without bringing it. */
const texts: Readonly<Record<string, string>> = { 'Apache-2.0': 'apache-2.0.txt' };

/**
 * The licences of the packages whose code is in ours, as they ask for.
 * @param inputs the files that went into it, from root
 * @returns undefined for none
 * @throws Error for a package without one
 */
export function noticesOf(root: string, inputs: readonly string[]): string | undefined {
  const names = inputs.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  if (names.length === 0) return undefined;
  const notices = [...new Set(names)].sort().map((name) => {
    const { version, license } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'));
    return `# ${name} ${version} (${license})\n\n${textOf(join(root, 'node_modules', name), license)}`;
  });
  return `Code of these packages is part of this one.\n\n${notices.join('\n\n')}\n`;
}

function textOf(directory: string, license: string): string {
  const [file] = globSync('{LICENSE,LICENCE,license}*', { cwd: directory });
  if (file !== undefined) return readFileSync(join(directory, file), 'utf8').trim();
  const text = texts[license];
  if (text === undefined) throw new Error(`${directory} has no LICENSE, and ${license} is not in scripts/package`);
  return readFileSync(join(import.meta.dirname, text), 'utf8').trim();
}
