import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import tls, { type SecureContext } from 'node:tls';
import { oneLine, type Problem, readProblem } from './problem.ts';

/** How a CA is talked to. */
export interface TransportOptions {
  /** PEM of further authorities for the CA's own TLS, beside those of Node and of the system. */
  readonly ca?: string;
  readonly userAgent: string;
  /** For one request, from the connection to the last byte. */
  readonly requestMs: number;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Parsed where it is JSON, else text. */
  readonly data: unknown;
}

export interface Ask {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: string;
  /** Of a POST, as application/jose+json. */
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** The CA has said no. */
export class CaProblem extends Error {
  readonly problem: Problem;
  readonly headers: IncomingHttpHeaders;
  /** Epoch ms, from Retry-After; 0: none. */
  readonly retryAfter: number;

  constructor(problem: Problem, headers: IncomingHttpHeaders, now: number) {
    super(`${problem.type || problem.status}: ${problem.detail}`);
    this.problem = problem;
    this.headers = headers;
    this.retryAfter = retryAfterOf(headers, now);
  }
}

/** The way to the CA failed, or what it says makes no sense: `code` as in problem.ts, or with a hint of its own. */
export class CaFault extends Error {
  readonly code: string;
  readonly host: string;
  readonly hint: string;

  constructor(code: string, message: string, host: string, hint = '', cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.host = host;
    this.hint = hint;
  }
}

/** Sends requests to one CA. */
export interface Transport {
  /** @throws CaProblem for a status of 400 or more, CaFault for the rest; the signal's reason when that aborts */
  send(ask: Ask): Promise<Answer>;
  close(): void;
}

const maxBodyBytes = 1024 * 1024;
const maxRedirects = 3;
// Of unused connections: an older one may be dead, with nobody having told us.
const maxIdleMs = 10_000;

/**
 * Over node:https, in place of the axios that acme-client brings: that one follows redirects to http, obeys proxy variables,
 * repeats refused requests for as long as a Retry-After says, has no time-outs and shares one list of authorities.
 */
export function createTransport({ ca, userAgent, requestMs }: TransportOptions): Transport {
  let context: SecureContext | undefined;
  let agent: Agent | undefined;
  const agentNow = () => {
    // 150 ms, so not before it is needed.
    context ??= tls.createSecureContext({ ca: authorities(ca) });
    agent ??= new Agent({ keepAlive: true, maxSockets: 16, timeout: maxIdleMs, secureContext: context });
    return agent;
  };

  async function send(ask: Ask, redirects = 0): Promise<Answer> {
    const answer = await exchange(ask, agentNow(), userAgent, requestMs);
    const { status, headers } = answer;
    if (status >= 300 && status < 400) {
      const to = httpsUrl(new URL(headers.location ?? '', ask.url).href, 'redirect');
      // What is signed is signed for its URL.
      if (ask.method !== 'GET' || redirects === maxRedirects || headers.location === undefined)
        throw new CaFault(
          'OO_ACME_REDIRECT',
          `the CA sends ${ask.method} ${ask.url} to another place (${status})`,
          to.host,
          'Is the directory URL right (--acme)?',
        );
      return send({ ...ask, url: to.href }, redirects + 1);
    }
    if (status >= 400) throw new CaProblem(readProblem(answer.data, status), headers, Date.now());
    return answer;
  }

  return { send: (ask) => send(ask), close: () => agent?.destroy() };
}

/**
 * RFC 8555 §6.1: https only, in the directory and everywhere else.
 * @param what the URL is, for the message
 * @throws CaFault
 */
export function httpsUrl(text: unknown, what: string): URL {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined)
    throw new CaFault('OO_ACME_BAD_URL', `the ${what} is no URL: ${oneLine(text) || typeof text}`, '', urlHint);
  if (url.protocol !== 'https:')
    throw new CaFault(
      'OO_ACME_NOT_HTTPS',
      `the ${what} is not https: ${oneLine(text)}`,
      url.host,
      'ACME goes over https only, or others on the way could have certificates for your names',
    );
  if (url.username !== '' || url.password !== '')
    throw new CaFault('OO_ACME_BAD_URL', `the ${what} has a user name or password`, url.host, urlHint);
  return url;
}

const urlHint = 'Give the directory URL of a CA: --acme https://ca.example.com/directory';

/** Retry-After as epoch ms; 0: none, or in the past. */
export function retryAfterOf(headers: IncomingHttpHeaders, now: number): number {
  const text = headers['retry-after'] ?? '';
  if (/^\d{1,9}$/.test(text)) return now + Number(text) * 1000;
  const time = Date.parse(text);
  return time > now ? time : 0;
}

function exchange(ask: Ask, agent: Agent, userAgent: string, requestMs: number): Promise<Answer> {
  const url = httpsUrl(ask.url, "CA's URL");
  const timeout = AbortSignal.timeout(requestMs);
  const signal = ask.signal === undefined ? timeout : AbortSignal.any([timeout, ask.signal]);
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      if (ask.signal?.aborted) reject(ask.signal.reason);
      else if (timeout.aborted) reject(new CaFault('OO_ACME_TIMEOUT', `no answer within ${requestMs} ms`, url.host));
      else reject(error instanceof CaFault ? error : asFault(error, url.host));
    };
    if (ask.signal?.aborted) return fail(new Error('aborted'));
    // RFC 8555 §6.1 wants both; what the CA writes goes to our log.
    const headers: Record<string, string> = { 'User-Agent': userAgent, 'Accept-Language': 'en', Accept: '*/*' };
    if (ask.body !== undefined) {
      headers['Content-Type'] = 'application/jose+json';
      headers['Content-Length'] = `${Buffer.byteLength(ask.body)}`;
    }
    const sent = request(url, { method: ask.method, agent, headers, signal }, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        parts.push(part);
        if (bytes > maxBodyBytes)
          sent.destroy(
            new CaFault('OO_ACME_TOO_LARGE', `the CA answers with more than ${maxBodyBytes} bytes`, url.host, urlHint),
          );
      });
      response.on('error', fail);
      response.on('aborted', () => fail(Object.assign(new Error('the answer was cut off'), { code: 'ECONNRESET' })));
      response.on('end', () => {
        try {
          const data = parse(Buffer.concat(parts).toString(), response.headers, response.statusCode!, url);
          resolve({ status: response.statusCode!, headers: response.headers, data });
        } catch (error) {
          fail(error as Error);
        }
      });
    });
    sent.on('error', fail);
    sent.end(ask.body);
  });
}

function parse(text: string, headers: IncomingHttpHeaders, status: number, url: URL): unknown {
  if (text === '' || !/[/+]json\b/.test(headers['content-type'] ?? '')) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    // A refusal stays one, whatever it looks like.
    if (status >= 400) return text;
    throw new CaFault('OO_ACME_NOT_JSON', `the CA's answer is broken JSON (${url.pathname})`, url.host, urlHint, error);
  }
}

function asFault(error: Error, host: string): CaFault {
  // Several addresses were tried: the first one's error says as much as any.
  const one = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  const code = (one as NodeJS.ErrnoException).code ?? '';
  return new CaFault(/^ERR_SSL_/.test(code) ? 'EPROTO' : code, one.message, host, '', error);
}

function authorities(ca: string | undefined): string[] {
  const given = ca === undefined ? [] : [ca];
  // Node 22.15 was the first to tell the system's. As names of an import they would keep an older one from loading this at all.
  const known = tls.getCACertificates
    ? [...tls.getCACertificates('default'), ...tls.getCACertificates('system')]
    : tls.rootCertificates;
  return [...new Set([...known, ...given])];
}
