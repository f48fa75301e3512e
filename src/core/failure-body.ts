/**
 * The failures that a proxy has which only forwards. The others are in failure.ts, and not in programs that embed no more than that.
 */
export const portable = {
  OO_BAD_HOST: { status: 400, title: 'Bad host', detail: 'Exactly one valid Host is required.' },
  OO_BAD_PATH: { status: 400, title: 'Bad path', detail: 'The path can be read in more than one way.' },
  OO_BAD_FRAMING: { status: 400, title: 'Bad body framing', detail: 'The length of the body is not clear.' },
  OO_NO_ROUTE: { status: 404, title: 'Not found', detail: 'No route matches this host and path.' },
  OO_METHOD_REFUSED: { status: 405, title: 'Method not allowed', detail: 'CONNECT and TRACE are not forwarded.' },
  OO_BODY_TOO_LARGE: { status: 413, title: 'Body too large', detail: 'The request body is over the limit.' },
  OO_INTERNAL: { status: 500, title: 'Internal error', detail: 'The proxy failed; its log names the cause.' },
  OO_CONNECT_FAILED: { status: 502, title: 'Bad gateway', detail: 'The upstream could not be reached.' },
  OO_UPSTREAM_CLOSED: { status: 502, title: 'Bad gateway', detail: 'The upstream closed before it answered.' },
  OO_BAD_RESPONSE: { status: 502, title: 'Bad gateway', detail: 'The upstream answered with invalid HTTP.' },
  OO_HANDLER_FAILED: { status: 502, title: 'Bad gateway', detail: "The route's handler failed." },
  OO_NO_INSTANCE: { status: 503, title: 'Service unavailable', detail: 'No instance can take this request now.' },
  OO_PAUSED: { status: 503, title: 'Service unavailable', detail: 'It is paused, and too many wait, or for too long.' },
  OO_STOPPED: { status: 503, title: 'Down for maintenance', detail: 'Please come back later.' },
  OO_CONNECT_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: 'The upstream could not be reached in time.' },
  OO_UPSTREAM_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: 'The upstream did not answer in time.' },
  OO_HANDLER_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: "The route's handler did not answer in time." },
} as const;

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

export interface FailureBody {
  readonly contentType: string;
  readonly body: string;
}

interface Told extends Failure {
  readonly code: string;
  readonly requestId: string;
}

/**
 * The body of an answer that oo gives itself: a short page for browsers, JSON where Accept prefers it, else one line of text
 * (also for `*\/*`). The code and the request id are always there; an upstream's address never is.
 */
export function bodyOfFailure(code: string, failure: Failure, context: FailureContext): FailureBody {
  const { host, path = '' } = context;
  const noRoute = code === 'OO_NO_ROUTE' && host !== undefined ? `No route matches ${shown(host + path)}.` : undefined;
  const told = {
    ...failure,
    code,
    requestId: shown(context.requestId),
    detail: context.detail || (noRoute ?? failure.detail),
  };
  const kind = preferredKind(context.accept);
  if (kind === 'json') return { contentType: 'application/json', body: asJson(told) };
  if (kind === 'html') return { contentType: 'text/html; charset=utf-8', body: asPage(told) };
  return { contentType: 'text/plain; charset=utf-8', body: asText(told) };
}

/** One line, of visible characters, not too long. */
export function shown(text: string): string {
  const cut = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
  return cut.replace(/[\p{C}\p{Z}]/gu, '?');
}

function asJson({ detail: error, code, status, requestId }: Told): string {
  return `${JSON.stringify({ error, code, status, requestId })}\n`;
}

function asText({ status, title, detail, code, requestId }: Told): string {
  return `${status} ${title}: ${detail} (${code}, request ${requestId})\n`;
}

function asPage({ status, title, detail, code, requestId }: Told): string {
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
<small>${code} · request ${escapeHtml(requestId)}</small>
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
