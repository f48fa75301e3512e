import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Command } from 'cac';
import { type Caller, caller, converse } from './client.ts';
import { addFlags, commonSettings, readSettings } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { actorOf } from './routes-api.ts';
import { setting } from './setting.ts';
import { resolveStateDir } from './state.ts';

/** Another server than the one on this machine's state directory. */
export const remoteSettings = {
  server: setting<string | undefined>({
    flag: 'server',
    value: 'URL',
    variables: ['OO_URL'],
    fallback: undefined,
    shown: "the state directory's server, by its socket",
    description: 'A server by its service port, such as http://10.0.0.1:11337',
    parse: serverUrl,
  }),
  token: setting<string | undefined>({
    flag: 'token',
    value: 'TOKEN',
    variables: ['OO_TOKEN'],
    fallback: undefined,
    shown: 'none; the socket needs none',
    description: 'A token of that server; better in OO_TOKEN, where ps does not show it',
    parse: bearer,
  }),
};

const settings = { stateDir: commonSettings.stateDir, ...remoteSettings };

/** Adds the flags of a command that works by the socket, or over HTTP with a token. */
export function withRemote(command: Command): Command {
  return addFlags(command, settings);
}

/** Calls of the server that flags and variables name. */
export interface ServerCalls {
  readonly call: Caller;
  /** By the socket, which needs no token. */
  readonly isLocal: boolean;
}

/**
 * @param silenceMs the longest silence of the server; default as `caller` has it
 * @throws CliError, exit code 2
 */
export function callsOf(io: Io, options: Readonly<Record<string, unknown>>, silenceMs?: number): ServerCalls {
  const { stateDir, server, token } = readSettings(settings, options, io.env);
  const actor = actorOf(io.env);
  if (server !== undefined) return { call: remoteCaller(server, token, silenceMs), isLocal: false };
  if (options.token !== undefined) throw usageError('--token is given without --server.', 'The socket needs no token.');
  return {
    call: caller({ stateDir: resolveStateDir(stateDir, io.env), actor, offline: false, silenceMs }),
    isLocal: true,
  };
}

function remoteCaller(server: string, token: string | undefined, silenceMs: number | undefined): Caller {
  return async (method, path, body, onLine) => {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const url = new URL(path, server);
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
    };
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    try {
      return await converse(request(url, { method, headers, agent: false }), payload, silenceMs, onLine);
    } catch (error) {
      throw error instanceof CliError ? withoutToken(error, token) : unreachable(server, error as Error);
    }
  };
}

function withoutToken(error: CliError, token: string | undefined): CliError {
  if (token !== undefined || error.code !== 'OO_NO_TOKEN') return error;
  const hint =
    'Give it by OO_TOKEN. The machine that runs oo makes one: oo token create --service user-svc (or --admin).';
  return new CliError(error.message, { hint, code: error.code, cause: error });
}

function unreachable(server: string, cause: NodeJS.ErrnoException): CliError {
  const whys: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there',
    ENOTFOUND: 'its name is unknown',
    EAI_AGAIN: 'its name could not be resolved',
    ECONNRESET: 'the connection broke',
  };
  const why = whys[cause.code ?? ''] ?? cause.message;
  const hint = 'Is it the address of its service port (11337), and does oo serve run there?';
  return new CliError(`The server ${server} can't be reached: ${why}.`, { hint, cause });
}

function serverUrl(text: string): string {
  const expected = 'a URL such as http://10.0.0.1:11337';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new RangeError(expected);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') throw new RangeError(`${expected}, without a path`);
  return url.origin;
}

function bearer(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new RangeError('a token such as oo token create prints');
}
