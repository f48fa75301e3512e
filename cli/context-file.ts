import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { CliError, usageError } from './failure.ts';

/** A server that commands can be sent to: by its URL, or on this machine by its state directory. */
export interface Context {
  readonly url?: string;
  readonly token?: string;
  /** PEM: who vouches for the server's certificate, beside those that the system trusts. */
  readonly ca?: string;
  readonly stateDir?: string;
  readonly description?: string;
}

/** What the user's own file holds. */
export interface ContextFile {
  /** The selected one; undefined: this machine's server. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The name of this machine's server: always there, in no file. */
export const localContext = 'local';

/** `OO_CONFIG`, else `$XDG_CONFIG_HOME/oo/config.json`, else `~/.config/oo/config.json`. @throws CliError, exit code 2 */
export function contextPath(env: Environment): string {
  if (env.OO_CONFIG) return resolve(env.OO_CONFIG);
  // The XDG specification: a path that is not absolute is to be ignored.
  if (env.XDG_CONFIG_HOME?.startsWith('/')) return resolve(env.XDG_CONFIG_HOME, 'oo/config.json');
  const home = env.HOME || homedir();
  if (home) return resolve(home, '.config/oo/config.json');
  throw usageError('There is no file of contexts: HOME is not set.', 'Name one with OO_CONFIG.');
}

/** What is in the file; nothing where there is none. @throws CliError, exit code 2, for one that can't be read */
export function readContexts(env: Environment): ContextFile {
  const path = contextPath(env);
  try {
    const text = readFileSync(path, 'utf8');
    // It holds tokens: whoever made it readable has not meant to.
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
    return checked(JSON.parse(text));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { contexts: {} };
    const why = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message;
    const hint = 'Mend it, or move it away: oo context add makes a new one.';
    throw new CliError(`The file of contexts ${path} can't be read: ${why}.`, { hint, exitCode: 2, cause: error });
  }
}

function checked(value: unknown): ContextFile {
  const { current, contexts } = (value ?? {}) as Partial<ContextFile>;
  const isMapping = typeof contexts === 'object' && contexts !== null && !Array.isArray(contexts);
  if (!isMapping || (current !== undefined && typeof current !== 'string'))
    throw new Error('it is no list of contexts');
  const texts = ['url', 'token', 'ca', 'stateDir', 'description'] as const;
  for (const [name, context] of Object.entries(contexts)) {
    const isOne = typeof context === 'object' && context !== null;
    if (!isOne || texts.some((field) => !['string', 'undefined'].includes(typeof context[field])))
      throw new Error(`its context '${name}' is none`);
  }
  return { current, contexts };
}

/** Replaces the file in one step; only its user may read it. @throws CliError */
export function writeContexts(env: Environment, file: ContextFile): void {
  const path = contextPath(env);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    const hint = 'Name another file with OO_CONFIG, or mend the owner and mode of its directory.';
    throw new CliError(`The file of contexts ${path} can't be written: ${(cause as Error).message}.`, { hint, cause });
  }
}

/** The context with this name. @throws CliError, exit code 2 */
export function contextNamed(env: Environment, name: string): Context {
  if (name === localContext) return {};
  const { contexts } = readContexts(env);
  if (Object.hasOwn(contexts, name)) return contexts[name];
  const names = [localContext, ...Object.keys(contexts)].join(', ');
  throw usageError(`There is no context '${name}'.`, `There are: ${names}. oo context add makes one.`);
}
