/** `node scripts/launch.mjs FILE.ts …`: installs if need be, then runs the file on the pinned Node. */
import { ensureInstalled, pinnedNode, run } from './bootstrap.mjs';

ensureInstalled();
process.exitCode = await run(pinnedNode, process.argv.slice(2));
