import type { CAC } from 'cac';
import type { Whoami } from '../src/admin/whoami-api.ts';
import { withOutput } from './certs-common.ts';
import { contextNamed, localContext, readContexts, writeContexts } from './context-file.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { day, formatOf, printable, structured } from './output.ts';
import { bearer, callerAt, callsOf, withRemote } from './remote.ts';
import { secretsOf } from './secret.ts';

interface Options {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly token?: unknown;
}

/** `oo login [context]`, `oo logout [context]`, `oo whoami`. */
export function addLoginCommands(program: CAC, io: Io): void {
  program
    .command('login [context]', 'Keep a token for a named server; asks for it, or reads standard input')
    .example('oo login prod')
    .example('oo login prod < token.txt')
    .action((context: string | undefined) => login(io, context));
  program
    .command('logout [context]', 'Forget the token of a named server')
    .example('oo logout prod')
    .action((context: string | undefined) => logout(io, context));
  const whoami = program
    .command('whoami', 'Who the server takes you for, and what you may do')
    .example('oo whoami')
    .example('oo whoami -e prod -o json');
  withRemote(withOutput(whoami)).action((options: Options) => showCaller(io, options));
}

/** The named context, or the selected one. */
function chosen(io: Io, given: string | undefined): string {
  const name = given ?? readContexts(io.env).current ?? localContext;
  if (contextNamed(io.env, name).url !== undefined) return name;
  throw usageError(
    `The server of the context ${name} is on this machine and needs no token.`,
    'oo context ls lists them.',
  );
}

async function login(io: Io, given: string | undefined): Promise<void> {
  const name = chosen(io, given);
  const { url = '', ca } = contextNamed(io.env, name);
  const ask = secretsOf();
  const asked =
    ask === undefined ? Buffer.from(await io.read()).toString() : await ask(`Token for ${name} (${printable(url)}): `);
  const token = tokenOf(asked.trim());
  const who = (await callerAt(io, { url, ca, token })('GET', '/v1/whoami')) as Whoami;
  // Read again: while the server was asked another command may have written it.
  const file = readContexts(io.env);
  const context = contextNamed(io.env, name);
  // It is for the server that was asked, and no other.
  if (context.url !== url)
    throw new CliError(`The context ${name} names another server now.`, { hint: 'Log in again.' });
  writeContexts(io.env, { ...file, contexts: { ...file.contexts, [name]: { ...context, token } } });
  io.out(`logged in to ${name} as ${printable(who.actor)}: ${rightsOf(who)}\n`);
}

function tokenOf(text: string): string {
  try {
    return bearer(text);
  } catch {
    throw usageError(
      'That is no token.',
      'oo token create, on the machine that runs oo, prints one: oo_ and 43 characters.',
    );
  }
}

async function logout(io: Io, given: string | undefined): Promise<void> {
  const name = chosen(io, given);
  const file = readContexts(io.env);
  const { token, ...rest } = file.contexts[name];
  if (token === undefined) return io.out(`There was no token for ${name}.\n`);
  writeContexts(io.env, { ...file, contexts: { ...file.contexts, [name]: rest } });
  io.out(`The token for ${name} is forgotten here. Its server still takes it: oo token rm ends it.\n`);
}

async function showCaller(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { call, place } = callsOf(io, options as Record<string, unknown>);
  const who = (await call('GET', '/v1/whoami')) as Whoami;
  if (format === 'json' || format === 'yaml') return io.out(await structured(who, format));
  if (format === 'name') return io.out(`${printable(who.actor)}\n`);
  const where = 'url' in place ? place.url : place.stateDir;
  const until = who.expiresAt === null ? '' : `, until ${day(who.expiresAt)}`;
  io.out(`${printable(who.actor)} at ${printable(where)}: ${rightsOf(who)}${until}\n`);
}

function rightsOf({ scopes, slug }: Whoami): string {
  if (scopes.includes('admin')) return 'may do everything';
  return `${scopes.join(', ')}${slug === null ? '' : ` (${printable(slug)})`}`;
}
