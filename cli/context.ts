import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CAC } from 'cac';
import { withOutput } from './certs-common.ts';
import { type Context, contextNamed, localContext, readContexts, writeContexts } from './context-file.ts';
import { quotable } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured, table, wordLines } from './output.ts';
import { bearer, serverUrl } from './remote.ts';

interface Options {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly token?: unknown;
  readonly ca?: unknown;
  readonly description?: unknown;
}

/** `oo context add|list|rm|use|current`; the seed says `oo env`, and `select`. */
export function addContextCommands(program: CAC, io: Io): void {
  const add = program
    .command('context add <name> <server>', 'Name a server: by its URL, or by its state directory on this machine')
    .alias('context save')
    .example('oo context add prod https://edge.example.com --token oo_…')
    .example('oo context add staging http://10.0.0.5:11337    # then: oo login staging')
    .example('oo env add second /var/lib/oo-second            # another server on this machine')
    .option('--token <TOKEN>', 'A token of that server; better by oo login, where no history keeps it')
    .option('--ca <FILE>', "Who vouches for the server's certificate, PEM, beside those that the system trusts")
    .option('--description <TEXT>', 'What it is, for oo context ls');
  withOutput(add).action((name: string, server: string, options: Options) => addContext(io, name, server, options));

  const list = program
    .command('context list', 'List the servers that have names')
    .alias('context ls')
    .example('oo context ls')
    .example('oo env ls -o json');
  withOutput(list).action((options: Options) => listContexts(io, options));

  const use = program
    .command('context use <name>', 'Select the server that commands go to; local: the one on this machine')
    .alias('context select')
    .example('oo context use prod')
    .example('oo env select local');
  withOutput(use).action((name: string, options: Options) => useContext(io, name, options));

  withOutput(program.command('context current', 'Which server commands go to').example('oo context current')).action(
    (options: Options) => showCurrent(io, options),
  );

  const remove = program
    .command('context rm <...names>', 'Forget servers, and their tokens')
    .alias('context remove')
    .example('oo context rm staging');
  withOutput(remove).action((names: string[], options: Options) => removeContexts(io, names, options));
}

async function addContext(io: Io, name: string, server: string, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name) || name === localContext) {
    const hint =
      name === localContext ? 'local is the server on this machine, always.' : 'Letters, digits and ._- only.';
    throw usageError(`'${printable(name).slice(0, 100)}' can't be the name of a context.`, hint);
  }
  const file = readContexts(io.env);
  const before = Object.hasOwn(file.contexts, name) ? file.contexts[name] : undefined;
  const context = contextOf(server, options, before);
  writeContexts(io.env, { ...file, contexts: { ...file.contexts, [name]: context } });
  await say(io, before === undefined ? 'created' : 'updated', [name], shown(name, context, false), format);
  if (context.url?.startsWith('http:') && context.token !== undefined && !isLoopback(context.url))
    io.err('oo: its token goes over the network in plain text: anybody on the way can read it. Use https://.\n');
  if (context.url !== undefined && context.token === undefined) io.err(`It has no token yet: oo login ${name}\n`);
}

/** What is not given anew stays: a token, as long as the server is the same. */
function contextOf(server: string, options: Options, before: Context | undefined): Context {
  const token = tokenOf(options.token);
  const description = flagOf(options as Record<string, unknown>, 'description', (text) => text) ?? before?.description;
  const ca = flagOf(options as Record<string, unknown>, 'ca', readPem);
  if (!/^[a-z][a-z0-9+.-]*:/i.test(server) && /[./]/.test(server) && !/:\d+$/.test(server)) {
    if (token !== undefined || ca !== undefined)
      throw usageError('A server by its state directory needs neither token nor --ca.', 'Leave them out.');
    return { stateDir: resolve(server), description };
  }
  let url: string;
  try {
    url = serverUrl(server);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const hint = `Expected ${error.message}, or a state directory such as /var/lib/oo.`;
    throw usageError(`'${quotable(server)}' is no server.`, hint);
  }
  const kept = before?.url === url ? before : undefined;
  return { url, token: token ?? kept?.token, ca: ca ?? kept?.ca, description };
}

/** What is wrong with it is not quoted. */
function tokenOf(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  try {
    return flagOf({ token: given }, 'token', bearer);
  } catch {
    throw usageError('--token is no token; expected one such as oo token create prints, once.');
  }
}

function readPem(path: string): string {
  let text = '';
  try {
    text = readFileSync(resolve(path), 'utf8');
  } catch {
    // Told below.
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new RangeError('a file with certificates in PEM that this user may read');
}

function isLoopback(url: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname);
}

async function listContexts(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { current = localContext, contexts } = readContexts(io.env);
  const local: Context = { description: 'the server on this machine' };
  const all = Object.entries({ [localContext]: local, ...contexts });
  if (format === 'name') return io.out(all.map(([name]) => `${name}\n`).join(''));
  if (format !== 'table')
    return io.out(
      await structured(
        all.map(([name, context]) => shown(name, context, name === current)),
        format,
      ),
    );
  const rows = all.map(([name, context]) => [
    ...[name === current ? '*' : '', name, where(context)],
    ...[context.token === undefined ? '' : 'yes', context.description ?? ''],
  ]);
  io.out(
    table(
      ['', 'NAME', 'SERVER', 'TOKEN', 'DESCRIPTION'],
      rows.map((row) => row.map(printable)),
    ),
  );
}

/** A context without its secrets. */
function shown(name: string, context: Context, current: boolean) {
  const { url, stateDir, description, token } = context;
  return { name, url, stateDir, description, hasToken: token !== undefined, current };
}

function where({ url, stateDir }: Context): string {
  return url ?? stateDir ?? 'socket';
}

async function useContext(io: Io, name: string, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const context = contextNamed(io.env, name);
  const file = readContexts(io.env);
  writeContexts(io.env, { ...file, current: name === localContext ? undefined : name });
  await say(io, 'selected', [name], shown(name, context, true), format);
}

async function showCurrent(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { current = localContext } = readContexts(io.env);
  const context = contextNamed(io.env, current);
  if (format === 'table') return io.out(`${current}   ${printable(where(context))}\n`);
  if (format === 'name') return io.out(`${current}\n`);
  io.out(await structured(shown(current, context, true), format));
}

async function removeContexts(io: Io, names: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const file = readContexts(io.env);
  const contexts = { ...file.contexts };
  const removed = names.filter((name) => Object.hasOwn(contexts, name));
  for (const name of removed) delete contexts[name];
  const current = removed.includes(file.current ?? '') ? undefined : file.current;
  if (removed.length > 0) writeContexts(io.env, { current, contexts });
  await say(io, 'removed', removed, { removed }, format);
  if (current === undefined && file.current !== undefined) io.err('Commands go to the server on this machine now.\n');
  const missing = names.filter((name) => !removed.includes(name));
  if (missing.length > 0)
    throw new CliError(`There is no context ${missing.map(printable).join(', ')}.`, {
      hint: 'oo context ls lists them.',
    });
}

async function say(
  io: Io,
  word: string,
  names: readonly string[],
  value: object,
  format: ReturnType<typeof formatOf>,
): Promise<void> {
  if (format === 'name') return io.out(names.map((name) => `${name}\n`).join(''));
  io.out(format === 'table' ? wordLines(word, names) : await structured(value, format));
}
