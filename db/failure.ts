/** Why a database could not do its work. The code is API. */
export type StoreCode =
  | 'OO_STORE_BUSY'
  | 'OO_STORE_CORRUPT'
  | 'OO_STORE_FULL'
  | 'OO_STORE_KEY'
  | 'OO_STORE_LOCKED'
  | 'OO_STORE_NEWER'
  | 'OO_STORE_FOREIGN'
  | 'OO_STORE_READONLY'
  | 'OO_STORE_REFUSED'
  | 'OO_STORE_UNOPENABLE'
  | 'OO_STORE_UNREACHABLE'
  | 'OO_STORE_FAILED';

/** A fault of the database: what happened in `message`, how to mend it in `hint`, the driver's error in `cause`. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreCode;
  readonly hint: string;

  constructor(code: StoreCode, message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.hint = hint;
  }
}

/** The text of an error and of its causes: the drivers put what matters now in the one, now in the other. */
function wholeText(error: unknown): string {
  let text = '';
  for (let at = error; at instanceof Error; at = at.cause)
    text += `${(at as { code?: string }).code ?? ''} ${at.message}\n`;
  return text || String(error);
}

/** First match wins. Hrana servers send SQLite's code as text, so texts are what both kinds of database share. */
const rules: readonly [RegExp, StoreCode, string, string][] = [
  [
    /SQLITE_BUSY|SQLITE_LOCKED|database (table )?is locked/,
    'OO_STORE_BUSY',
    'another process holds the write lock',
    'End the other program that writes to it (sqlite3, a backup), then try again.',
  ],
  [
    /SQLITE_NOTADB|not a database/,
    'OO_STORE_CORRUPT',
    'it is not an SQLite database, or it is encrypted',
    'Name another file, restore a backup, or move this file away to start empty.',
  ],
  [
    /SQLITE_CORRUPT|malformed/,
    'OO_STORE_CORRUPT',
    'its contents are damaged',
    'Restore a backup, or move the file away to start empty.',
  ],
  [/SQLITE_FULL|ENOSPC|disk is full/, 'OO_STORE_FULL', 'the disk is full', 'Free some space, then try again.'],
  [
    /SQLITE_READONLY|EROFS|readonly database|read-only/,
    'OO_STORE_READONLY',
    'it cannot be written to',
    'Give the user that runs oo the right to write the file and its directory.',
  ],
  [
    /SQLITE_CANTOPEN|ConnectionFailed|unable to open|EACCES|EPERM|ENOENT|EISDIR|ENOTDIR/,
    'OO_STORE_UNOPENABLE',
    'it cannot be opened',
    'Check that the directory exists and that the user that runs oo may write there.',
  ],
  [
    /HTTP status 40[13]|Unauthorized|Forbidden|AUTH/,
    'OO_STORE_REFUSED',
    'the database server refused the token',
    'Set --db-token (OO_DB_TOKEN) to a token that may write to this database.',
  ],
  [
    // In the end: a connection that is lost within the answer, as Bun, Deno and Workers say it; a page that something between has answered.
    /fetch failed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|TimeoutError|aborted|SERVER_ERROR|HRANA_|HTTP status|UND_ERR|timed out|(connection|socket).*(closed|lost|reset)|error reading a body|not valid JSON|JSON input/,
    'OO_STORE_UNREACHABLE',
    'the database server does not answer',
    'Check the URL and that the database server runs; oo goes on trying.',
  ],
];

/**
 * Turns a driver's error into one that says what, why and how to mend it.
 * @param where the file or the URL, as the user named it
 */
export function storeError(error: unknown, where: string, kind: 'database' | 'lock file' = 'database'): StoreError {
  // Drizzle wraps what the connection threw.
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof StoreError) return at;
  const text = wholeText(error);
  for (const [pattern, code, why, hint] of rules) {
    if (pattern.test(text)) return new StoreError(code, `The ${kind} ${where}: ${why}.`, hint, error);
  }
  const first = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
  return new StoreError(
    'OO_STORE_FAILED',
    `The ${kind} ${where}: ${first}`,
    'Try again; if it stays, restore a backup.',
    error,
  );
}

/** True where the same work, on a new connection, may succeed. */
export function isPassing(error: StoreError): boolean {
  return error.code === 'OO_STORE_BUSY' || error.code === 'OO_STORE_UNREACHABLE';
}
