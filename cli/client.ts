import { request } from 'node:http';
import { CliError } from './failure.ts';
import type { RoutesApi } from './routes-api.ts';
import { socketPath } from './state.ts';

/** The longest silence of the server before the command gives up, ms: 100,000 routes take seconds. */
const silenceMs = 120_000;

/** The routes by way of the server that runs on this state directory. */
export function connect(stateDir: string, actor: string): RoutesApi {
  const call = (method: string, path: string, body?: unknown) => send(stateDir, actor, method, path, body);
  return {
    async list(ids = []) {
      const query = new URLSearchParams(ids.map((id) => ['id', id])).toString();
      const { routes } = await call('GET', query ? `/v1/routes?${query}` : '/v1/routes');
      return routes;
    },
    save: (routes, reason) => call('PUT', '/v1/routes', { routes, reason }),
    remove: (ids, reason) => call('DELETE', '/v1/routes', { ids, reason }),
    close: async () => {},
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the server is of this same program
function send(stateDir: string, actor: string, method: string, path: string, body: unknown): Promise<any> {
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  // Of a DELETE with a body Node says no length by itself.
  const framing = payload && { 'content-type': 'application/json', 'content-length': payload.length };
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath: reachable(stateDir),
      method,
      path,
      headers: { host: 'localhost', 'oo-actor': actor, ...framing },
      timeout: silenceMs,
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${silenceMs / 1000} s`)));
    outgoing.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(stateDir, error)));
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', (error) => reject(unreachable(stateDir, error)));
      response.on('end', () => {
        try {
          resolve(answer(response.statusCode ?? 0, Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(error);
        }
      });
    });
    outgoing.end(payload);
  });
}

function reachable(stateDir: string): string {
  try {
    return socketPath(stateDir);
  } catch (error) {
    const { cause } = error as CliError;
    throw (cause as NodeJS.ErrnoException)?.code === 'ENOENT' ? noServer(stateDir, error) : error;
  }
}

function answer(status: number, text: string): unknown {
  let body: { error?: string; hint?: string };
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new CliError(`The server gave an answer that is not JSON (status ${status}).`, { cause });
  }
  if (status < 400) return body;
  throw new CliError(body.error ?? `The server answered with status ${status}.`, { hint: body.hint });
}

function unreachable(stateDir: string, cause: NodeJS.ErrnoException): CliError {
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') return noServer(stateDir, cause);
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    const hint = 'Run the command as the user that runs the server, or name another directory with --state-dir.';
    return new CliError(`This user may not use the server's socket in ${stateDir}.`, { hint, cause });
  }
  const hint = 'See what the server wrote to its log, and try again.';
  return new CliError(`The connection to the server in ${stateDir} broke: ${cause.message}.`, { hint, cause });
}

function noServer(stateDir: string, cause: unknown): CliError {
  const hint = 'Start one with `oo serve`, or add --offline to work on its database directly.';
  return new CliError(`No server is running on the state directory ${stateDir}.`, { hint, cause });
}
