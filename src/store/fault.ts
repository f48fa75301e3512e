import { type StoreCode, StoreError, storeError } from '../../db/failure.ts';

/** What an embedder does about it; the database's own hints are those of the command line. */
const hints: Partial<Record<StoreCode, string>> = {
  OO_STORE_FOREIGN: 'Give openStore the URL of another database: oo keeps its tables in one of its own.',
  OO_STORE_LOCKED:
    'Open it with readOnly: true, which reads beside that one; routes are saved there (oo route save, its API). Or stop it first.',
  OO_STORE_NEWER: 'Use the version of @oo/proxy that fits that oo.',
  OO_STORE_REFUSED:
    'Give openStore an authToken of this database: one that may read, and to save or to migrate, one that may write.',
  OO_STORE_UNREACHABLE: 'Check the URL, and that the database server runs; the next call tries anew.',
};

/** Any error of a store, with a hint that fits an embedder. */
export function told(error: unknown, where: string): StoreError {
  if (isMissing(error)) {
    const message = `The database ${where}: what opens it is not installed: ${(error as Error).message.split('\n', 1)[0]}`;
    const hint =
      'npm install @libsql/client; for a file also libsql, whose native part comes with it for common systems.';
    return new StoreError('OO_STORE_UNOPENABLE', message, hint, error);
  }
  const failure = storeError(error, where);
  if (failure.code === 'OO_STORE_FAILED' && /--allow-\w+ flag/.test(failure.message)) {
    const hint = 'A file needs --allow-read --allow-write --allow-env --allow-sys --allow-ffi; a URL --allow-net.';
    return new StoreError('OO_STORE_UNOPENABLE', failure.message, hint, error);
  }
  const hint = hints[failure.code];
  return hint === undefined || hint === failure.hint
    ? failure
    : new StoreError(failure.code, failure.message, hint, failure.cause);
}

/** Does something, and tells its failure. A TypeError is the caller's own. @throws StoreError */
export async function telling<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Deno's word for what is not installed is a TypeError, too.
    if (error instanceof TypeError && !isMissing(error)) throw error;
    throw told(error, where);
  }
}

/** A package, or the native part of one, is not there: both are left out of an installation easily. */
function isMissing(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  return /^(ERR_)?MODULE_NOT_FOUND$/.test(code ?? '') || /^(Cannot|Could not) find (package|module)/.test(message);
}

/** A misspelled option would be one that is not there. @throws TypeError */
export function proveNames(what: string, options: object, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`options of ${what} are ${shown(options)}; expected such as { ${names[0]} }`);
  for (const name of Object.keys(options))
    if (!names.includes(name)) throw new TypeError(`${what} has no option '${name}'; it has ${names.join(', ')}`);
}

/** @throws TypeError */
export function proveOptions(options: { url: unknown; authToken?: unknown; readOnly?: unknown } | undefined): void {
  const { url, authToken, readOnly } = options ?? {};
  if (typeof url !== 'string' || url === '')
    throw new TypeError(
      `url is ${shown(url)}; expected such as openStore({ url: 'libsql://name.example.com', authToken })`,
    );
  if (authToken !== undefined && typeof authToken !== 'string')
    throw new TypeError(`authToken is ${shown(authToken)}; expected a text`);
  if (readOnly !== undefined && typeof readOnly !== 'boolean')
    throw new TypeError(`readOnly is ${shown(readOnly)}; expected true or false`);
  proveNames('openStore', options as object, ['url', 'authToken', 'readOnly']);
}

function shown(value: unknown): string {
  return value === undefined || value === null ? 'missing' : value === '' ? 'empty' : `a ${typeof value}`;
}
