import { firstSegment } from './service-path.ts';

/**
 * Every answer that oo itself gives in place of an upstream's. The code is API: clients match on it.
 * `detail` is public: it never names an upstream's address.
 */
export const failures = {
  OO_BAD_REQUEST: { status: 400, title: 'Bad request', detail: 'The request is not valid HTTP.' },
  OO_BAD_HEADER: { status: 400, title: 'Bad header', detail: 'A header field is malformed.' },
  OO_BAD_HOST: { status: 400, title: 'Bad host', detail: 'Exactly one valid Host is required.' },
  OO_BAD_PATH: { status: 400, title: 'Bad path', detail: 'The path can be read in more than one way.' },
  OO_BAD_FRAMING: { status: 400, title: 'Bad body framing', detail: 'The length of the body is not clear.' },
  OO_UNAUTHORIZED: { status: 401, title: 'Unauthorized', detail: 'A user name and its password are required.' },
  OO_FORBIDDEN_ADDRESS: { status: 403, title: 'Forbidden', detail: 'This address is not let in.' },
  OO_NO_ROUTE: { status: 404, title: 'Not found', detail: 'No route matches this host and path.' },
  OO_NO_SERVICE: { status: 404, title: 'Not found', detail: 'No such service is registered.' },
  OO_METHOD_REFUSED: { status: 405, title: 'Method not allowed', detail: 'CONNECT and TRACE are not forwarded.' },
  OO_REQUEST_TIMEOUT: { status: 408, title: 'Request timeout', detail: 'The request did not arrive in time.' },
  OO_BODY_TOO_LARGE: { status: 413, title: 'Body too large', detail: 'The request body is over the limit.' },
  OO_TARGET_TOO_LONG: { status: 414, title: 'Target too long', detail: 'The request target is over the limit.' },
  OO_EXPECTATION_REFUSED: { status: 417, title: 'Expectation failed', detail: 'Only 100-continue can be expected.' },
  OO_MISDIRECTED: { status: 421, title: 'Misdirected request', detail: 'This connection does not serve this host.' },
  OO_RATE_LIMITED: { status: 429, title: 'Too many requests', detail: 'Please come back a little later.' },
  OO_HEAD_TOO_LARGE: { status: 431, title: 'Header fields too large', detail: 'The request head is over the limit.' },
  OO_INTERNAL: { status: 500, title: 'Internal error', detail: 'The proxy failed; its log names the cause.' },
  OO_CODING_UNSUPPORTED: {
    status: 501,
    title: 'Not implemented',
    detail: 'Only the chunked transfer coding is known.',
  },
  OO_CONNECT_FAILED: { status: 502, title: 'Bad gateway', detail: 'The upstream could not be reached.' },
  OO_UPSTREAM_CLOSED: { status: 502, title: 'Bad gateway', detail: 'The upstream closed before it answered.' },
  OO_BAD_RESPONSE: { status: 502, title: 'Bad gateway', detail: 'The upstream answered with invalid HTTP.' },
  OO_AUTH_FAILED: { status: 502, title: 'Bad gateway', detail: 'Whether this is allowed could not be found out.' },
  OO_HANDLER_FAILED: { status: 502, title: 'Bad gateway', detail: "The route's handler failed." },
  OO_NO_INSTANCE: { status: 503, title: 'Service unavailable', detail: 'No instance can take this request now.' },
  OO_OVERLOADED: { status: 503, title: 'Service unavailable', detail: 'Every instance is busy, and too many wait.' },
  OO_PAUSED: { status: 503, title: 'Service unavailable', detail: 'It is paused, and too many wait, or for too long.' },
  OO_STOPPED: { status: 503, title: 'Down for maintenance', detail: 'Please come back later.' },
  OO_MAINTENANCE: { status: 503, title: 'Down for maintenance', detail: 'Please come back later.' },
  OO_AUTH_BUSY: { status: 503, title: 'Service unavailable', detail: 'Too many are being asked who they are.' },
  OO_CONNECT_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: 'The upstream could not be reached in time.' },
  OO_UPSTREAM_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: 'The upstream did not answer in time.' },
  OO_AUTH_TIMEOUT: {
    status: 504,
    title: 'Gateway timeout',
    detail: 'Whether this is allowed could not be found out in time.',
  },
  OO_HANDLER_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: "The route's handler did not answer in time." },
  OO_VERSION_UNSUPPORTED: { status: 505, title: 'HTTP version not supported', detail: 'HTTP/1.1 or 1.0, please.' },
} as const;

export type FailureCode = keyof typeof failures;

export interface Failure {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

/** What a failure's answer may name. All of it is the client's own. */
export interface FailureContext {
  /** The request's Accept; '' if it sent none. */
  readonly accept: string;
  readonly requestId: string;
  /** Named in a 404. */
  readonly host?: string;
  readonly path?: string;
  /** In place of the code's own detail: what an operator says. */
  readonly detail?: string;
}

const maxAcceptLength = 1024;
const maxShown = 200;

/**
 * The body of an answer that oo gives itself: a short page for browsers, JSON where Accept prefers it, else one line of text
 * (also for `*\/*`). The code and the request id are always there; an upstream's address never is.
 */
export function failureBody(code: FailureCode, context: FailureContext): { contentType: string; body: string } {
  const detail = detailOf(code, context);
  const kind = preferredKind(context.accept);
  if (kind === 'json') return { contentType: 'application/json', body: asJson(code, detail, context.requestId) };
  if (kind === 'html')
    return { contentType: 'text/html; charset=utf-8', body: asPage(code, detail, context.requestId) };
  return { contentType: 'text/plain; charset=utf-8', body: asText(code, detail, context.requestId) };
}

function detailOf(code: FailureCode, { host, path, detail }: FailureContext): string {
  if (detail) return detail;
  if (code === 'OO_NO_SERVICE' && path) return `No service '${shown(firstSegment(path))}' is registered.`;
  if (code !== 'OO_NO_ROUTE' || host === undefined) return failures[code].detail;
  return `No route matches ${shown(host + (path ?? ''))}.`;
}

/** One line, of visible characters, not too long. */
function shown(text: string): string {
  const cut = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
  return cut.replace(/[\p{C}\p{Z}]/gu, '?');
}

function asJson(code: FailureCode, error: string, requestId: string): string {
  return `${JSON.stringify({ error, code, status: failures[code].status, requestId: shown(requestId) })}\n`;
}

function asText(code: FailureCode, detail: string, requestId: string): string {
  const { status, title } = failures[code];
  return `${status} ${title}: ${detail} (${code}, request ${shown(requestId)})\n`;
}

function asPage(code: FailureCode, detail: string, requestId: string): string {
  const { status, title } = failures[code];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${status} ${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 20vh auto 0; padding: 0 1.5rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0 }
h1 span { opacity: .5; margin-right: .5rem }
small { opacity: .6 }
</style>
</head>
<body>
<h1><span>${status}</span>${escapeHtml(title)}</h1>
<p>${escapeHtml(detail)}</p>
<small>${code} · request ${escapeHtml(shown(requestId))}</small>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Only types that are named count: `*\/*` is said by those who take anything, and read text best. */
function preferredKind(accept: string): 'html' | 'json' | 'text' {
  const quality = { html: 0, json: 0, text: 0 };
  for (const item of accept.slice(0, maxAcceptLength).toLowerCase().split(',')) {
    const [type, ...params] = item.split(';').map((part) => part.trim());
    const kind = kindOf(type);
    if (kind !== undefined) quality[kind] = Math.max(quality[kind], qualityOf(params));
  }
  if (quality.html > 0 && quality.html >= quality.json && quality.html >= quality.text) return 'html';
  return quality.json > 0 && quality.json >= quality.text ? 'json' : 'text';
}

function kindOf(type: string): 'html' | 'json' | 'text' | undefined {
  if (type === 'text/html' || type === 'application/xhtml+xml') return 'html';
  if (type === 'application/json' || (type.startsWith('application/') && type.endsWith('+json'))) return 'json';
  return type === 'text/plain' ? 'text' : undefined;
}

function qualityOf(params: readonly string[]): number {
  const q = params.find((param) => param.startsWith('q='));
  if (q === undefined) return 1;
  const value = Number(q.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
