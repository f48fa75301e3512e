import http from 'node:http';
import https from 'node:https';
import type { FailureCode } from '../core/failure.ts';
import type { Field } from '../core/option-cors.ts';
import type { CompiledForwardAuth } from '../core/option-forward-auth.ts';
import type { GuardRequest } from './guard-request.ts';

/** What came of asking another server about a request. */
export type AuthAnswer =
  | { readonly kind: 'let-in'; readonly fields: readonly Field[] }
  | { readonly kind: 'answer'; readonly status: number; readonly fields: readonly Field[]; readonly body: Uint8Array }
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly cause: string };

/** Of an answer that goes to the client. */
const passedOn = new Set([
  ...['location', 'set-cookie', 'www-authenticate', 'content-type', 'content-encoding', 'content-language'],
  ...['cache-control', 'retry-after'],
]);
const maxBody = 65_536;
const maxConnections = 128;
const maxPending = 1_024;
const oneLine = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Asks authorization servers, over connections that are kept. Not the hot path: plain node:http. */
export class AuthAsker {
  private agents: { readonly http: http.Agent; readonly https: https.Agent } | null = null;
  /** Questions without an answer. */
  pending = 0;

  /**
   * @param done is told once, later
   * @returns what takes it back: `done` is not called any more
   */
  ask(auth: CompiledForwardAuth, request: GuardRequest, done: (answer: AuthAnswer) => void): () => void {
    if (this.pending >= maxPending) {
      const cause = `${maxPending} requests are being asked about at ${auth.url}`;
      const soon = setImmediate(done, { kind: 'failed', code: 'OO_AUTH_BUSY', cause });
      return () => clearImmediate(soon);
    }
    this.agents ??= agents();
    const asking = new Asking(auth, headersOf(auth, request), this.agents, (answer) => {
      this.pending--;
      done(answer);
    });
    this.pending++;
    asking.send();
    return () => {
      if (asking.leave()) this.pending--;
    };
  }

  /** Ends all connections. */
  close(): void {
    this.agents?.http.destroy();
    this.agents?.https.destroy();
    this.agents = null;
  }
}

function agents() {
  const options = { keepAlive: true, maxSockets: maxConnections, scheduling: 'lifo' as const };
  return { http: new http.Agent(options), https: new https.Agent(options) };
}

/** Nothing of the request's own goes there but what is named: what it says of X-Forwarded-For, say, is what we know. */
function headersOf({ sends }: CompiledForwardAuth, request: GuardRequest): Record<string, string> {
  const headers: Record<string, string> = { 'Accept-Encoding': 'identity' };
  for (const name of sends) {
    const value = request.field(name);
    if (value !== '') headers[name] = value;
  }
  for (const [name, value] of request.forwarding()) headers[name] = value;
  headers['X-Forwarded-Method'] = request.method;
  headers['X-Forwarded-Uri'] = request.path + request.query;
  return headers;
}

/** One question. */
class Asking {
  private readonly auth: CompiledForwardAuth;
  private readonly headers: Record<string, string>;
  private readonly agents: { readonly http: http.Agent; readonly https: https.Agent };
  private readonly done: (answer: AuthAnswer) => void;
  private readonly timer: NodeJS.Timeout;
  private request: http.ClientRequest | null = null;
  private over = false;

  constructor(
    auth: CompiledForwardAuth,
    headers: Record<string, string>,
    agents: { readonly http: http.Agent; readonly https: https.Agent },
    done: (answer: AuthAnswer) => void,
  ) {
    this.auth = auth;
    this.headers = headers;
    this.agents = agents;
    this.done = done;
    this.timer = setTimeout(() => this.fail('OO_AUTH_TIMEOUT', `no answer in ${auth.timeoutMs} ms`), auth.timeoutMs);
  }

  /** @param again over a connection of its own */
  send(again = false): void {
    const { url } = this.auth;
    const { headers, agents } = this;
    try {
      const request = url.startsWith('https:')
        ? https.request(url, { method: 'GET', headers, agent: !again && agents.https })
        : http.request(url, { method: 'GET', headers, agent: !again && agents.http });
      this.request = request;
      request.on('response', (response) => this.onResponse(response));
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        this.fail('OO_AUTH_FAILED', 'it switched protocols');
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // It closed a connection that had rested, just when it was used.
        if (!again && !this.over && request.reusedSocket && error.code === 'ECONNRESET') this.send(true);
        else this.fail('OO_AUTH_FAILED', error.message);
      });
      request.end();
    } catch (error) {
      // A field that can't be sent, say. Whoever asks is to be told later, here as elsewhere.
      setImmediate(() => this.fail('OO_AUTH_FAILED', (error as Error).message));
    }
  }

  /** @returns false if it was over */
  leave(): boolean {
    if (this.over) return false;
    this.over = true;
    clearTimeout(this.timer);
    this.request?.destroy();
    return true;
  }

  private finish(answer: AuthAnswer): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    this.done(answer);
  }

  private fail(code: FailureCode, why: string): void {
    this.request?.destroy();
    this.finish({ kind: 'failed', code, cause: `${this.auth.url}: ${why}` });
  }

  private onResponse(response: http.IncomingMessage): void {
    const status = response.statusCode ?? 0;
    response.on('error', (error) => this.fail('OO_AUTH_FAILED', error.message));
    if (status >= 200 && status < 300) {
      this.finish({ kind: 'let-in', fields: fieldsOf(response, new Set(this.auth.copies)) });
      return discard(response);
    }
    if (status < 200 || status > 599) return this.fail('OO_AUTH_FAILED', `it answered with the status ${status}`);
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > maxBody) this.fail('OO_AUTH_FAILED', `its answer is longer than ${maxBody} bytes`);
    });
    response.on('end', () =>
      this.finish({ kind: 'answer', status, fields: fieldsOf(response, passedOn), body: Buffer.concat(parts) }),
    );
    response.on('aborted', () => this.fail('OO_AUTH_FAILED', 'it broke off its answer'));
  }
}

/** Reads the rest, so that the connection can be used again; but not for ever. */
function discard(response: http.IncomingMessage): void {
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), 1_000);
  timer.unref();
  response.on('close', () => clearTimeout(timer));
  response.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > maxBody) response.destroy();
  });
}

/** @param names in lower case */
function fieldsOf({ rawHeaders }: http.IncomingMessage, names: ReadonlySet<string>): Field[] {
  const fields: Field[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    // The parser lets nothing else through; a field of ours must hold to it whatever the parser does.
    if (names.has(rawHeaders[i].toLowerCase()) && oneLine.test(rawHeaders[i + 1]))
      fields.push([rawHeaders[i], rawHeaders[i + 1]]);
  }
  return fields;
}
