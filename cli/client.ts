import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { CliError } from './failure.ts';
import { printable } from './output.ts';
import type { RoutesApi } from './routes-api.ts';
import { isStarting, socketPath } from './state.ts';

/** The longest silence of the server before the command gives up, ms: 100,000 routes take seconds. */
const silenceMs = 120_000;
/** How long a server that runs, but does not listen yet, is waited for, ms. */
const startPatienceMs = 5_000;

/** The routes by way of a running server. */
export function connect(call: Caller): RoutesApi {
  return {
    async list(ids = [], at) {
      const asked = new URLSearchParams(ids.map((id) => ['id', id]));
      if (at !== undefined) asked.set('at', String(at));
      const query = asked.toString();
      const { routes } = await call('GET', query ? `/v1/routes?${query}` : '/v1/routes');
      return routes;
    },
    save: (routes, reason) => call('PUT', '/v1/routes', { routes, reason }),
    remove: (ids, reason) => call('DELETE', '/v1/routes', { ids, reason }),
    close: async () => {},
  };
}

/** Where a call goes, and what is said where no server is there. */
export interface Called {
  readonly stateDir: string;
  /** For the change log. */
  readonly actor: string;
  /** Whether the command has `--offline`. Default true. */
  readonly offline?: boolean;
  /** The longest silence, ms. Default `silenceMs`. */
  readonly silenceMs?: number;
}

/** Sends a request and returns the answer's JSON; with `onLine`, each line's as it comes. Throws CliError. */
export type Caller = (
  method: string,
  path: string,
  body?: unknown,
  // biome-ignore lint/suspicious/noExplicitAny: the server is of this same program
  onLine?: (value: any) => void,
  heads?: Heads,
  // biome-ignore lint/suspicious/noExplicitAny: the same
) => Promise<any>;

/** What a call says and hears beside the bodies. */
export interface Heads {
  /** More fields of the request. */
  readonly send?: Readonly<Record<string, string>>;
  /** Told of the answer's fields, before the call resolves or rejects. */
  readonly onAnswer?: (fields: IncomingHttpHeaders) => void;
}

/** Calls of the server that runs on this state directory. One that is just starting is waited for. */
export function caller(called: Called): Caller {
  return async (method, path, body, onLine, heads) => {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    for (const end = performance.now() + startPatienceMs; ; ) {
      try {
        return await call(called, method, path, payload, onLine, heads);
      } catch (error) {
        // It answers requests before its socket is there.
        const isLate = performance.now() >= end || !isAbsent(error) || !isStarting(called.stateDir);
        if (isLate) throw error instanceof CliError ? error : unreachable(called, error as NodeJS.ErrnoException);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
}

function call(
  called: Called,
  method: string,
  path: string,
  payload: Buffer | undefined,
  onLine: ((value: unknown) => void) | undefined,
  heads: Heads = {},
): Promise<unknown> {
  // Of a DELETE with a body Node says no length by itself.
  const framing = payload && { 'content-type': 'application/json', 'content-length': payload.length };
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath: reachable(called),
      method,
      path,
      headers: { host: 'localhost', 'oo-actor': called.actor, ...framing, ...heads.send },
    });
    hearHead(outgoing, heads);
    converse(outgoing, payload, called.silenceMs, onLine).then(resolve, reject);
  });
}

/** Before `converse`, so that it is told first. */
export function hearHead(outgoing: ClientRequest, { onAnswer }: Heads): void {
  if (onAnswer) outgoing.on('response', ({ headers }) => onAnswer(headers));
}

/**
 * Sends a request's body and reads the answer.
 * @param patienceMs the longest silence
 * @returns the answer's JSON; rejects with CliError for a refusal, with the system's error where there is no answer
 */
export function converse(
  outgoing: ClientRequest,
  payload: Buffer | undefined,
  patienceMs = silenceMs,
  onLine?: (value: unknown) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    outgoing.setTimeout(patienceMs, () => outgoing.destroy(new Error(`no answer within ${patienceMs / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const reading = onLine && response.statusCode === 200 ? readLines(response, onLine) : readAnswer(response);
      reading.then(resolve, reject);
    });
    outgoing.end(payload);
  });
}

/** Nothing listens there. */
function isAbsent(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return syscall === 'connect' && (code === 'ENOENT' || code === 'ECONNREFUSED');
}

async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return answer(response.statusCode ?? 0, Buffer.concat(chunks).toString());
}

/** Empty lines only say that the server is still there. */
async function readLines(response: IncomingMessage, onLine: (value: unknown) => void): Promise<void> {
  let rest = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) if (line !== '') onLine(JSON.parse(line));
  }
}

function reachable(called: Called): string {
  const { stateDir } = called;
  try {
    return socketPath(stateDir);
  } catch (error) {
    const { cause } = error as CliError;
    throw (cause as NodeJS.ErrnoException)?.code === 'ENOENT' ? noServer(called, error) : error;
  }
}

function answer(status: number, text: string): unknown {
  let body: { error?: string; hint?: string };
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new CliError(`The server gave an answer that is not JSON (status ${status}).`, { cause });
  }
  if (status < 300) return body;
  // It is not followed: the token is for the server that was named.
  if (status < 400) throw new CliError(`The server sends elsewhere (status ${status}).`, { hint: elsewhere });
  throw refused(body, status);
}

const elsewhere = 'Name the server by the URL at which it answers itself: https:// in place of http://, say.';

/** What the server says may quote a CA, a certificate or a DNS record. */
export function refused(
  body: { error?: string; code?: string; hint?: string; faults?: readonly unknown[] },
  status = 500,
): CliError {
  const message = body.error ?? `The server answered with status ${status}.`;
  const exitCode = status === 401 || status === 403 ? 4 : 1;
  const { code, faults } = body;
  return new CliError(printable(message), { hint: body.hint && printable(body.hint), exitCode, code, faults });
}

function unreachable(called: Called, cause: NodeJS.ErrnoException): CliError {
  const { stateDir } = called;
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') return noServer(called, cause);
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    const hint = 'Run the command as the user that runs the server, or name another directory with --state-dir.';
    return new CliError(`This user may not use the server's socket in ${stateDir}.`, { hint, cause });
  }
  const hint = 'See what the server wrote to its log, and try again.';
  return new CliError(`The connection to the server in ${stateDir} broke: ${cause.message}.`, { hint, cause });
}

function noServer({ stateDir, offline = true }: Called, cause: unknown): CliError {
  const hint = offline
    ? 'Start one with `oo serve`, or add --offline to work on its database directly.'
    : 'Start one with `oo serve`, or name its state directory with --state-dir.';
  return new CliError(`No server is running on the state directory ${stateDir}.`, { hint, cause });
}
