/** `npm start`: installs and builds if need be, then runs the demo. */
import { join } from 'node:path';
import { ensureInstalled, pinnedNode, root, run } from './bootstrap.mjs';

ensureInstalled();
const built = await run(pinnedNode, [join(root, 'scripts/build.ts')]);
process.exitCode = built || (await run(join(root, 'dist/oo'), ['demo', ...process.argv.slice(2)]));
