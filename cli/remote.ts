import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { rootCertificates } from 'node:tls';
import type { Command } from 'cac';
import { spell } from './argv.ts';
import { type Caller, caller, converse, hearHead } from './client.ts';
import { contextNamed, readContexts } from './context-file.ts';
import { addFlags, readSettings } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { actorOf } from './routes-api.ts';
import { setting } from './setting.ts';
import { commonSettings } from './settings.ts';
import { resolveStateDir } from './state.ts';

/** Another server than the one on this machine's state directory. */
export const remoteSettings = {
  server: setting<string | undefined>({
    flag: 'server',
    value: 'URL',
    variables: ['OO_URL'],
    fallback: undefined,
    shown: "the selected context's, else the state directory's, by its socket",
    description: 'A server by its service port, such as http://10.0.0.1:11337',
    parse: serverUrl,
  }),
  token: setting<string | undefined>({
    flag: 'token',
    value: 'TOKEN',
    variables: ['OO_TOKEN'],
    fallback: undefined,
    shown: "the context's; the socket needs none",
    description: 'A token of that server; better in OO_TOKEN, where ps does not show it',
    parse: bearer,
  }),
  env: setting<string | undefined>({
    flag: 'env',
    letter: 'e',
    value: 'NAME',
    variables: ['OO_ENV'],
    fallback: undefined,
    shown: 'the one that oo context use has selected',
    description: 'A server by the name that oo context add gave it; local: the one on this machine',
    parse: (text) => text,
  }),
};

const settings = { stateDir: commonSettings.stateDir, ...remoteSettings };

/** Adds the flags of a command that works by the socket, or over HTTP with a token. */
export function withRemote(command: Command): Command {
  return addFlags(command, settings);
}

/** Which server a command means. */
export type Place =
  | { readonly url: string; readonly token?: string; readonly ca?: string }
  | { readonly stateDir: string };

/** Calls of the server that flags, variables and the selected context name. */
export interface ServerCalls {
  readonly call: Caller;
  readonly place: Place;
  /** By the socket, which needs no token. */
  readonly isLocal: boolean;
}

/** How a command calls. */
export interface Manner {
  /** The longest silence of the server, ms; default as `caller` has it. */
  readonly silenceMs?: number;
  /** Whether the command has `--offline`: the hint where no server runs says it. Default false. */
  readonly offline?: boolean;
}

/** @throws CliError, exit code 2 */
export function callsOf(io: Io, options: Readonly<Record<string, unknown>>, manner?: Manner): ServerCalls {
  const place = placeOf(io, options);
  return { call: callerAt(io, place, manner), place, isLocal: 'stateDir' in place };
}

/** Calls of one server. */
export function callerAt(io: Io, place: Place, { silenceMs, offline = false }: Manner = {}): Caller {
  if ('url' in place) return remoteCaller(place, silenceMs);
  return caller({ stateDir: place.stateDir, actor: actorOf(io.env), offline, silenceMs });
}

/**
 * The server that is meant. Flags count before variables, and those before the selected context; at each of these a URL counts before a context's
 * name, and that before a state directory. A context's own token belongs to its server: OO_TOKEN is for one that has none.
 * @throws CliError, exit code 2
 */
export function placeOf({ env: variables }: Io, options: Readonly<Record<string, unknown>>): Place {
  const { stateDir, server, token, env } = readSettings(settings, options, variables);
  const given = (['server', 'env', 'stateDir'] as const).filter((flag) => options[flag] !== undefined);
  if (given.length > 1)
    throw usageError(`${given.map(spell).join(' and ')} are given together.`, 'Each names a server: leave one out.');
  const local = { stateDir: resolveStateDir(stateDir, variables) };
  const byUrl = () => ({ url: server as string, token });
  const byName = (name: string): Place => {
    const context = contextNamed(variables, name);
    const { url, ca } = context;
    if (url === undefined) return context.stateDir === undefined ? local : { stateDir: context.stateDir };
    return { url, ca, token: options.token === undefined ? (context.token ?? token) : token };
  };
  const choose = (): Place => {
    if (given[0] === 'server') return byUrl();
    if (given[0] === 'env') return byName(env as string);
    if (given[0] === 'stateDir') return local;
    if (server !== undefined) return byUrl();
    if (env !== undefined) return byName(env);
    if (stateDir !== undefined) return local;
    const { current } = readContexts(variables);
    return current === undefined ? local : byName(current);
  };
  const place = choose();
  if (options.token !== undefined && !('url' in place))
    throw usageError('--token is given without --server.', 'The socket needs no token.');
  return place;
}

function remoteCaller(place: Extract<Place, { url: string }>, silenceMs: number | undefined): Caller {
  const { url: server, token, ca } = place;
  // One of its own comes beside those of the system, not in their place.
  const trusted = ca === undefined ? undefined : [...rootCertificates, ca];
  return async (method, path, body, onLine, heads = {}) => {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const url = new URL(path, server);
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
      ...heads.send,
    };
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    try {
      const outgoing = request(url, { method, headers, agent: false, ca: trusted });
      hearHead(outgoing, heads);
      return await converse(outgoing, payload, silenceMs, onLine);
    } catch (error) {
      throw error instanceof CliError ? withoutToken(error, token) : unreachable(server, error as Error);
    }
  };
}

function withoutToken(error: CliError, token: string | undefined): CliError {
  if (token !== undefined || error.code !== 'OO_NO_TOKEN') return error;
  const hint = 'Give it by OO_TOKEN, or keep it: oo login. The machine that runs oo makes one: oo token create --help.';
  return new CliError(error.message, { hint, code: error.code, exitCode: error.exitCode, cause: error });
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

export function serverUrl(text: string): string {
  const expected = 'a URL such as http://10.0.0.1:11337';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new RangeError(expected);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') throw new RangeError(`${expected}, without a path`);
  return url.origin;
}

export function bearer(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new RangeError('a token such as oo token create prints');
}
