import type { FailureCode } from '../core/failure.ts';
import type { Field } from '../core/option-cors.ts';
import type { CompiledForwardAuth } from '../core/option-forward-auth.ts';
import type { ProxyClient } from './client.ts';
import { classify, decodes, fetchExtras, isDecoded } from './fetch.ts';

/** What came of asking another server about a request. */
export type AuthAnswer =
  | { readonly kind: 'let-in'; readonly fields: readonly Field[] }
  | { readonly kind: 'answer'; readonly status: number; readonly fields: readonly Field[]; readonly body: Uint8Array }
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly cause: unknown };

/** Of an answer that goes to the client. */
const passedOn = [
  ...['location', 'set-cookie', 'www-authenticate', 'content-type', 'content-encoding', 'content-language'],
  ...['cache-control', 'retry-after'],
];
const maxBody = 65_536;
const maxPending = 1_024;
const discardMs = 1_000;
const oneLine = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Asks authorization servers by `fetch`. */
export class ProxyAsker {
  /** Questions without an answer. */
  pending = 0;
  private readonly fetch: typeof fetch;

  constructor(send: typeof fetch) {
    this.fetch = send;
  }

  /** Never rejects. A client that leaves takes its question back. */
  async ask(auth: CompiledForwardAuth, client: ProxyClient): Promise<AuthAnswer> {
    if (this.pending >= maxPending) {
      const cause = new Error(`${maxPending} requests are being asked about at ${auth.url}`);
      return { kind: 'failed', code: 'OO_AUTH_BUSY', cause };
    }
    this.pending++;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), auth.timeoutMs);
    const signal = AbortSignal.any([client.request.signal, late.signal]);
    try {
      return await this.askOnce(auth, client, signal);
    } catch (error) {
      const code = late.signal.aborted ? 'OO_AUTH_TIMEOUT' : 'OO_AUTH_FAILED';
      const why = late.signal.aborted ? `no answer in ${auth.timeoutMs} ms` : String((error as Error).message);
      return { kind: 'failed', code, cause: new Error(`${auth.url}: ${why}`, { cause: error }) };
    } finally {
      clearTimeout(timer);
      this.pending--;
    }
  }

  private async askOnce(auth: CompiledForwardAuth, client: ProxyClient, signal: AbortSignal): Promise<AuthAnswer> {
    const headers = headersOf(auth, client);
    const send = () => this.fetch(auth.url, { headers, redirect: 'manual', signal, ...fetchExtras });
    const response = await send().catch((error) => {
      // It may have closed a connection that had rested, just when it was used: fetch does not say.
      if (signal.aborted || classify(error) !== 'OO_UPSTREAM_CLOSED') throw error;
      return send();
    });
    const { status } = response;
    if (status >= 200 && status < 300) {
      void discard(response);
      return { kind: 'let-in', fields: fieldsOf(response, auth.copies) };
    }
    if (status < 200 || status > 599) {
      void discard(response);
      throw new Error(`it answered with the status ${status}`);
    }
    return { kind: 'answer', status, fields: fieldsOf(response, passedOn), body: await readBody(response) };
  }
}

/** Nothing of the request's own goes there but what is named: what it says of X-Forwarded-For, say, is what we know. */
function headersOf({ sends }: CompiledForwardAuth, client: ProxyClient): Headers {
  const headers = new Headers({ 'accept-encoding': 'identity' });
  for (const name of sends) {
    const value = client.field(name);
    if (value !== '') headers.set(name, value);
  }
  for (const [name, value] of client.forwarded) if (name.startsWith('X-')) headers.set(name, value);
  headers.set('x-forwarded-method', client.method);
  headers.set('x-forwarded-uri', client.path + client.query);
  return headers;
}

/** @param names in lower case */
function fieldsOf({ headers }: Response, names: readonly string[]): Field[] {
  const fields: Field[] = [];
  const plain = decodes && isDecoded(headers.get('content-encoding'));
  for (const [name, value] of headers) {
    if (!names.includes(name) || !oneLine.test(value)) continue;
    if (name !== 'content-encoding' || !plain) fields.push([name, value]);
  }
  return fields;
}

async function readBody({ body }: Response): Promise<Uint8Array> {
  const reader = body?.getReader();
  let whole = new Uint8Array(0);
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) return whole;
    const { value } = piece;
    if (whole.length + value.length > maxBody) {
      void reader?.cancel().catch(() => {});
      throw new Error(`its answer is longer than ${maxBody} bytes`);
    }
    const grown = new Uint8Array(whole.length + value.length);
    grown.set(whole);
    grown.set(value, whole.length);
    whole = grown;
  }
}

/** Reads the rest, so that the connection can be used again; but not for ever. */
async function discard({ body }: Response): Promise<void> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), discardMs);
  try {
    for (let bytes = 0; bytes <= maxBody; ) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes += value.length;
    }
    await reader.cancel();
  } catch {
    // Nobody is interested.
  } finally {
    clearTimeout(timer);
  }
}
