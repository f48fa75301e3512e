import { decidePath } from '../core/decide.ts';
import { normalizeAuthority } from '../core/host.ts';
import { httpsUrlOf, leadsToHttps } from '../core/plain.ts';
import type { CompiledRoute } from '../core/types.ts';
import { FORM_ABSOLUTE, METHOD_GET, METHOD_HEAD, type RequestScanner } from '../http1/scan.ts';
import type { AskedHost } from './asked-host.ts';
import type { Edge } from './edge.ts';
import type { Reply } from './reply.ts';
import { pathText } from './request-text.ts';

/*
 * What plain HTTP is for where HTTPS is served: the answers to HTTP-01 challenges, for any host, and the way to HTTPS for hosts that
 * have a route. Routes that say `http: allow` are forwarded all the same.
 */

const challengePrefix = '/.well-known/acme-challenge/';
const prefixBytes = Buffer.from(challengePrefix);
/** RFC 8555 §8.3: base64url; CAs' own are of 43 characters. */
const tokenForm = /^[A-Za-z0-9_-]{1,256}$/;
/** How long the main process may take to find a challenge of another server; a CA waits 10 s. */
const patienceMs = 5_000;

/** What becomes of a request: it is answered, forwarded, refused, or the answer has to be asked for. */
export type PlainDecision =
  | { readonly kind: 'reply'; readonly reply: Reply; readonly route: CompiledRoute | null }
  | { readonly kind: 'forward' }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'ask'; readonly token: string };

const forward: PlainDecision = { kind: 'forward' };
const notFound: PlainDecision = { kind: 'not-found' };

/**
 * Decides a request that came over plain HTTP; its host has been resolved. What is wrong with it is told by those who forward it.
 * @param asked the main process has been asked for its challenge
 */
export function decidePlain(
  edge: Edge,
  buffer: Buffer,
  head: RequestScanner,
  host: AskedHost,
  wasAsked: boolean,
): PlainDecision {
  // From a trusted proxy that took it over TLS, and over http is how it comes here.
  if (head.captureCount > 0 && saysHttps(edge, buffer, head)) return forward;
  const { hosts, authority } = host;
  if (hosts === undefined || (head.form === FORM_ABSOLUTE && host.isOtherScheme(head.absoluteTls))) return forward;
  if (isChallenge(buffer, head)) return decideChallenge(edge, buffer, head, host, wasAsked);
  if (hosts.levels.length === 0) return forward;
  const decision = decidePath(hosts, pathText(buffer, head), head.plainPath);
  if (!leadsToHttps(hosts, decision)) return forward;
  const route = decision.kind === 'forward' ? decision.route : null;
  const location = locationOf(edge, buffer, head, authority, host.localPort);
  if (location === undefined) return notFound;
  const isSafe = head.method === METHOD_GET || head.method === METHOD_HEAD;
  const lines = [`Location: ${location}`, 'Cache-Control: no-store'];
  return { kind: 'reply', reply: { status: isSafe ? 301 : 308, lines, body: '' }, route };
}

/** Asks the main process for a challenge that this worker does not know. Resolves when it is worth to look again. */
export async function askForChallenge(edge: Edge, token: string): Promise<void> {
  if (edge.ask === null) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs).unref();
  });
  await Promise.race([edge.ask({ what: 'http-01', token }).catch(() => false), late]);
  clearTimeout(timer);
}

function isChallenge(buffer: Buffer, { pathStart, pathEnd }: RequestScanner): boolean {
  return (
    pathEnd - pathStart >= prefixBytes.length &&
    buffer.compare(prefixBytes, 0, prefixBytes.length, pathStart, pathStart + prefixBytes.length) === 0
  );
}

function decideChallenge(
  edge: Edge,
  buffer: Buffer,
  head: RequestScanner,
  { hosts }: AskedHost,
  wasAsked: boolean,
): PlainDecision {
  const path = pathText(buffer, head);
  const token = path.slice(challengePrefix.length);
  // Attack 42: whatever else is under it is nobody's.
  if (!tokenForm.test(token)) return notFound;
  const bodied = head.chunked || head.contentLength > 0;
  if ((head.method === METHOD_GET || head.method === METHOD_HEAD) && !bodied) {
    const answer = edge.challenges.httpAnswer(token);
    if (answer !== undefined) {
      const lines = ['Content-Type: text/plain', 'Cache-Control: no-store'];
      return { kind: 'reply', reply: { status: 200, lines, body: answer }, route: null };
    }
    if (edge.ask !== null && !wasAsked) return { kind: 'ask', token };
  }
  // The upstream may have an ACME client of its own.
  const decision = decidePath(hosts!, path, head.plainPath);
  return decision.kind === 'forward' && decision.route.route.http === 'allow' ? forward : notFound;
}

function saysHttps(edge: Edge, buffer: Buffer, head: RequestScanner): boolean {
  const said = edge.priorFields(buffer, head)['x-forwarded-proto'];
  return said !== undefined && /^[ \t]*https[ \t]*(?:,|$)/i.test(said);
}

/** Where the same is to be had over HTTPS; undefined for HTTP/1.0 without Host. */
function locationOf(
  { settings, httpsPort }: Edge,
  buffer: Buffer,
  head: RequestScanner,
  authority: string,
  localPort: number,
): string | undefined {
  const named = authority === '' ? undefined : normalizeAuthority(authority);
  if (named === undefined) return undefined;
  const target = buffer.toString('latin1', head.pathStart, head.targetEnd);
  return httpsUrlOf(named, localPort, httpsPort || settings.https?.port || 443, target);
}
