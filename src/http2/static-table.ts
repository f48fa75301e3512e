import { ascii } from './bytes.ts';

/** RFC 7541, appendix A, from index 1 on. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

/** The last index of the static table; the dynamic one begins after it. */
export const STATIC_COUNT = ENTRIES.length;

/** The name of each entry, by index; [0] is no entry. */
export const STATIC_NAMES: readonly string[] = ['', ...ENTRIES.map(([name]) => name)];

/** All entries as lines, `name: value CRLF`, as decoded fields are written: see block.ts. */
export const STATIC_LINES: Uint8Array = ascii(ENTRIES.map(([name, value]) => `${name}: ${value}\r\n`).join(''));
/** Where the line of each entry starts; the next one's start is its end. */
export const STATIC_STARTS = new Uint16Array(STATIC_COUNT + 2);
/** How long the name of each entry is. */
export const STATIC_NAME_LENGTHS = new Uint8Array(STATIC_COUNT + 1);

let at = 0;
ENTRIES.forEach(([name, value], i) => {
  STATIC_STARTS[i + 1] = at;
  STATIC_NAME_LENGTHS[i + 1] = name.length;
  at += name.length + value.length + 4;
});
STATIC_STARTS[STATIC_COUNT + 1] = at;

// Entries that are written by their index.
export const INDEX_AUTHORITY = 1;
export const INDEX_GET = 2;
export const INDEX_POST = 3;
export const INDEX_PATH = 4;
export const INDEX_HTTP = 6;
export const INDEX_HTTPS = 7;
export const INDEX_STATUS = 8;
/** The entries of `:status` with a value: the index by the status, or 0. */
export const STATUS_INDEX = new Uint8Array(600);
for (let i = INDEX_STATUS; ENTRIES[i - 1][0] === ':status'; i++) STATUS_INDEX[Number(ENTRIES[i - 1][1])] = i;
