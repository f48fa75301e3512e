import { NAME } from './bytes.ts';
import { NameTable } from './names.ts';

/** Says of a trailer whose name stands at [start,end) whether it is dropped. */
export type TrailerFilter = (buf: Uint8Array, start: number, end: number) => boolean;

/**
 * RFC 9110 §6.5.1: no trailer may frame, route, authenticate, condition or re-type the message that came before it. What a recipient
 * that merges trailers into the head could be fooled with is dropped; the rest (grpc-status, server-timing, digests) goes on.
 */
const REFUSED: readonly string[] = [
  // framing, hop-by-hop
  ...['connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'http2-settings'],
  // routing, control
  ...['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip'],
  ...['x-original-url', 'x-original-host', 'x-rewrite-url', 'x-host', 'x-http-method', 'x-http-method-override'],
  ...['x-method-override', 'expect', 'max-forwards', 'range', 'early-data', 'origin', 'referer'],
  // authentication, state
  ...['authorization', 'authentication-info', 'www-authenticate', 'cookie', 'cookie2', 'set-cookie', 'set-cookie2'],
  // response control
  ...['age', 'cache-control', 'date', 'expires', 'location', 'pragma', 'retry-after', 'vary', 'warning', 'refresh'],
  ...['alt-svc', 'clear-site-data', 'strict-transport-security', 'link', 'x-frame-options', 'x-content-type-options'],
  ...['x-xss-protection', 'x-accel-redirect', 'x-sendfile'],
  // how content is read
  ...[
    'content-encoding',
    'content-type',
    'content-range',
    'content-disposition',
    'content-language',
    'content-location',
  ],
];
const REFUSED_PREFIXES: readonly string[] = [
  ...[
    'x-forwarded-',
    'x-accel-',
    'proxy-',
    'if-',
    'sec-',
    'access-control-',
    'content-security-policy',
    'cross-origin-',
  ],
];

const table = new NameTable(
  [
    ['host', 0, true],
    ['content-length', 0, true],
    ['transfer-encoding', 0, true],
  ],
  { drop: REFUSED, dropPrefixes: REFUSED_PREFIXES, capture: [], keepUnderscores: false },
);

/** The default filter: drops the names above, and any with an underscore. */
export const isTrailerRefused: TrailerFilter = (buf, start, end) => {
  for (let p = start; p < end; p++) if (NAME[buf[p]] === 3) return true;
  return table.find(buf, start, end) >= 0 || table.hasPrefix(buf, start, end);
};
