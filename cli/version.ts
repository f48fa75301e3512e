import { readFileSync } from 'node:fs';

/** `0.1.0 (abc1234)`: put here by the build (scripts/sea/bundle.ts); not declared when run from source. */
declare const OO_BUILD_VERSION: string | undefined;

/**
 * The program's version, `0.1.0 (abc1234)` with the commit it was built from.
 * From source it is package.json's version and the word "source".
 */
export function version(): string {
  if (typeof OO_BUILD_VERSION === 'string') return OO_BUILD_VERSION;
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return `${manifest.version} (source)`;
}
