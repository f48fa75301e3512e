/**
 * What the npm commands start with. Plain JavaScript for Node 20, because on a fresh clone the pinned Node is not
 * installed yet; everything after this runs on the pinned one.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
export const pinnedNode = join(root, 'node_modules/.bin/node');

/** Runs `npm ci` when node_modules is missing or not what package-lock.json says. Ends the process if that fails. */
export function ensureInstalled() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.error(`oo is built for linux-x64; this machine is ${process.platform}-${process.arch}`);
    process.exit(1);
  }
  if (isInstalled()) return;
  console.error('installing packages (npm ci)');
  // Without node_modules/.bin in PATH, which npm run puts there: npm must not run on the Node that it replaces.
  const bin = join(root, 'node_modules/.bin');
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => resolve(part) !== bin);
  // All is needed here, also where a user's settings or NODE_ENV leave out what only development needs.
  const { status, error } = spawnSync('npm', ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PATH: path.join(delimiter) },
  });
  if (status === 0 && existsSync(pinnedNode)) return;
  console.error(`npm ci failed${error ? `: ${error.message}` : ''}; mend that, then run this command again`);
  process.exit(1);
}

/** Compares the lock with npm's own record of what it installed; both list every package with its integrity. */
function isInstalled() {
  if (!existsSync(pinnedNode)) return false;
  try {
    const wanted = packages('package-lock.json');
    const have = packages('node_modules/.package-lock.json');
    delete wanted[''];
    const same = (name) =>
      have[name]?.version === wanted[name]?.version && have[name]?.integrity === wanted[name]?.integrity;
    return Object.keys(have).every(same) && Object.keys(wanted).every((name) => wanted[name].optional || same(name));
  } catch {
    return false;
  }
}

function packages(lock) {
  return JSON.parse(readFileSync(join(root, lock), 'utf8')).packages;
}

/**
 * Runs a program to its end, with this one's input and output, and passes signals on.
 * @returns its exit code; 128 + n when signal n ended it
 */
export function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C on a terminal already reaches the whole process group; sent again, it would mean "end at once".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  return new Promise((done) => {
    child.on('error', (error) => {
      console.error(`cannot run ${command}: ${error.message}`);
      done(1);
    });
    child.on('exit', (code, signal) => done(code ?? 128 + { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal]));
  });
}
