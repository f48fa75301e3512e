import type { CAC } from 'cac';
import { scopes, serviceScopes } from '../src/admin/access.ts';
import type { TokenInfo } from '../src/admin/tokens-api.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { day, formatOf, printable, structured, table, wordLines } from './output.ts';
import { callsOf, withRemote } from './remote.ts';

type Options = CommonOptions & {
  readonly scope?: unknown;
  readonly service?: unknown;
  readonly admin?: boolean;
  readonly note?: unknown;
  readonly expires?: unknown;
};

/** `oo token create|list|rm`. */
export function addTokenCommands(program: CAC, io: Io): void {
  const create = program
    .command('token create', 'Make a token for the service port, and print it once')
    .alias('token add')
    .example('oo token create --service user-svc              # registers instances of user-svc')
    .example('oo token create --scope routes:write --scope certs:read --note ci --expires 90d')
    .example('oo token create --admin --expires 12h             # may do everything')
    .example('OO_TOKEN=$(oo token create --service user-svc -q)')
    .option('--scope <SCOPE>', `What it may do, repeatable: ${scopes.join(', ')}; to write a thing is to read it, too`)
    .option('--service <SLUG>', 'For the instances of this service, and the lists')
    .option('--admin', 'For everything')
    .option('--note <TEXT>', 'What it is for, for oo token ls')
    .option('--expires <TIME>', 'How long it works, such as 12h or 90d (default: until oo token rm)');
  withRemote(withOutput(create)).action((options: Options) => createToken(io, options));

  const list = program
    .command('token list', 'List the tokens, without what they are made of')
    .alias('token ls')
    .example('oo token ls')
    .example('oo tokens ls -o json');
  withRemote(withOutput(list)).action((options: Options) => listTokens(io, options));

  const remove = program
    .command('token rm <...ids>', 'Remove tokens; they stop working at once')
    .alias('token remove')
    .example('oo token rm tok_3f2a…');
  withRemote(withOutput(remove)).action((ids: string[], options: Options) => removeTokens(io, ids, options));
}

async function createToken(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { service, admin, note, expires } = options;
  for (const [flag, value] of Object.entries({ service, note, expires }))
    if (Array.isArray(value)) throw usageError(`--${flag} is given more than once.`, 'Give it once.');
  const asked = scopesOf(options);
  const expiresInSeconds = expires === undefined ? undefined : lifetime(String(expires));
  const { call } = callsOf(io, options as Record<string, unknown>);
  const created = await call('POST', '/v1/tokens', { scopes: asked, slug: service, note, expiresInSeconds });
  if (format === 'json' || format === 'yaml') return io.out(await structured(created, format));
  // The token alone, so that a script can take it; -q leaves the rest out.
  io.out(`${created.token}\n`);
  if (format === 'name') return;
  const whose = admin ? 'may do everything' : `is for ${forWhat(created)}`;
  const until = created.expiresAt ? `until ${day(created.expiresAt)}` : `until oo token rm ${created.id}`;
  io.err(`${created.id} ${whose}, ${until}. It is shown this once: keep it.\n`);
}

/** What the flags ask for. @throws CliError, exit code 2 */
function scopesOf({ scope, service, admin }: Options): readonly string[] {
  const given = scope === undefined ? [] : [scope].flat().map(String);
  const usage = 'Give --scope SCOPE, --service SLUG, or --admin.';
  if (admin && (service !== undefined || given.length > 0))
    throw usageError('--admin is everything: --service and --scope add nothing to it.', 'Leave them out.');
  if (admin) return ['admin'];
  if (service === undefined && given.length === 0) throw usageError('Nothing says what the token is for.', usage);
  const unknown = given.find((one) => !(scopes as readonly string[]).includes(one));
  if (unknown !== undefined)
    throw usageError(`--scope is '${printable(unknown).slice(0, 100)}'; expected one of ${scopes.join(', ')}.`);
  return [...new Set([...(service === undefined ? [] : serviceScopes), ...given])];
}

/** `instances of user-svc, routes:write`. */
function forWhat({ scopes: list, slug }: Pick<TokenInfo, 'scopes' | 'slug'>): string {
  const ofService: readonly string[] = slug === '' ? [] : serviceScopes;
  const rest = list.filter((one) => !ofService.includes(one));
  return [...(slug === '' ? [] : [`instances of ${printable(slug)}`]), ...rest.map(printable)].join(', ');
}

/** `90d`, `12h`, `30m` → s. */
function lifetime(given: string): number {
  const [, count, unit] = /^(\d{1,5})(m|h|d)$/.exec(given) ?? [];
  const seconds = Number(count) * ({ m: 60, h: 3_600, d: 86_400 }[unit] ?? Number.NaN);
  if (seconds > 0) return seconds;
  throw usageError(`--expires is '${printable(given).slice(0, 100)}'; expected a time such as 30m, 12h or 90d.`);
}

async function listTokens(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { call } = callsOf(io, options as Record<string, unknown>);
  const { tokens } = (await call('GET', '/v1/tokens')) as { tokens: TokenInfo[] };
  if (format === 'name') return io.out(tokens.map(({ id }) => `${id}\n`).join(''));
  if (format !== 'table') return io.out(await structured(tokens, format));
  const rows = tokens.map(({ id, scopes: list, slug, createdAt, expiresAt, note }) => [
    ...[id, list.join(' '), slug, day(createdAt)],
    ...[
      expiresAt === null ? 'never' : Date.parse(expiresAt) <= Date.now() ? `expired ${day(expiresAt)}` : day(expiresAt),
    ],
    note,
  ]);
  const heads = ['TOKEN ID', 'SCOPES', 'SERVICE', 'CREATED AT', 'EXPIRES', 'NOTE'];
  io.out(
    table(
      heads,
      rows.map((row) => row.map(printable)),
    ),
  );
  if (tokens.length === 0) io.err('There are no tokens: oo token create --help shows how to make one.\n');
}

async function removeTokens(io: Io, ids: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { call } = callsOf(io, options as Record<string, unknown>);
  const outcome = await call('DELETE', '/v1/tokens', { ids });
  const { removed, missing } = outcome as Record<'removed' | 'missing', string[]>;
  if (format === 'name') io.out(removed.map((id) => `${id}\n`).join(''));
  else io.out(format === 'table' ? wordLines('removed', removed) : await structured(outcome, format));
  if (missing.length === 0) return;
  const message = `There is no token ${missing.map(printable).join(', ')}.`;
  throw new CliError(message, { hint: 'oo token ls shows those that are.' });
}
