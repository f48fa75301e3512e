/** `npm run package`: makes dist/package, the code and the types of the npm package, and says what it costs to import. */
import { join, relative, resolve } from 'node:path';
import { OUT } from './package/entries.ts';
import { makePackage } from './package/make.ts';
import { limits, sizeOf } from './package/sizes.ts';

const started = performance.now();
const root = resolve(import.meta.dirname, '..');
const made = await makePackage(root).catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(`${relative(process.cwd(), join(root, OUT))} ${made ? 'built' : 'is up to date'} in ${seconds} s`);
for (const { names, from, without } of limits) {
  const entry = from.endsWith('/store') ? 'store-web' : 'index';
  const { minified, gzip } = await sizeOf(names, `./${OUT}/${entry}.js`, root, without);
  console.log(`${names}: ${kB(gzip)} gzip, ${kB(minified)} minified, without ${without.join(', ')}`);
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
