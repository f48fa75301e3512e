import type { CAC, Command } from 'cac';
import { type Fault, normalId } from '../src/admin/schema.ts';
import type { Route } from '../src/core/types.ts';
import { refuseRemote } from './certs-common.ts';
import { addFlags, readSettings } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import { withoutSource } from './handler-text.ts';
import type { Io } from './io.ts';
import { type Format, formatOf, printable, structured, table, wordLines } from './output.ts';
import { callsOf, remoteSettings } from './remote.ts';
import { revisionOf } from './revision.ts';
import { faultsFound, type Item, placeFaults, readRouteItems, sourcesOf } from './route-files.ts';
import { addRouteFlags, type RouteOptions, routeOfFlags } from './route-flags.ts';
import { targetText } from './route-target.ts';
import { actorOf, type RoutesApi, type SaveOutcome } from './routes-api.ts';
import { commonSettings } from './settings.ts';
import { resolveStateDir } from './state.ts';

type Options = RouteOptions & {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly offline?: boolean;
  readonly reason?: string;
  readonly db?: string;
  readonly at?: string;
};

/** `oo route save|list|get|rm`. */
export function addRouteCommands(program: CAC, io: Io): void {
  const save = program
    .command(
      'route save [...paths]',
      'Save routes from files, directories, - (stdin) or flags; adds and replaces, never removes',
    )
    .alias('route s')
    .example('oo route save routes.yaml            # one route, a list, or several --- documents')
    .example('oo route save ./routes               # every .yaml, .yml and .json file below it')
    .example('oo route list -o json | oo route save - --offline --state-dir ./other')
    .example('oo route save --id app.example.com --target http://10.0.0.2:3000')
    .example(
      'oo route save --id app.example.com --target http://10.0.0.2:3000 --target "http://10.0.0.3:3000 weight=3"',
    )
    .example('oo route save --id example.com --redirect https://www.example.com')
    .example('oo route save --id app.example.com --target http://10.0.0.2:3000 --handler ./auth.mjs')
    .example('oo route save --id example.com/api --strip-prefix true --target http://10.0.0.4:3000   # more: files');
  addRouteFlags(save);
  save.option('--reason <TEXT>', 'Why, for the change log');
  common(save).action((paths: string[], options: Options) => saveRoutes(io, paths, options));

  const list = program
    .command('route list', 'List the routes')
    .alias('route ls')
    .example('oo route list')
    .example('oo routes ls -o json')
    .example('oo routes ls --at @5                 # as they were at that revision');
  list.option('--at <REV>', 'As they were at a revision, such as @5');
  common(list).action((options: Options) => listRoutes(io, options));

  const get = program
    .command('route get <id>', 'Show one route, with all its options')
    .example('oo route get app.example.com/api')
    .example('oo route get app.example.com -o json')
    .example('oo route get app.example.com --at @5 # as it was at that revision');
  get.option('--at <REV>', 'As it was at a revision, such as @5');
  common(get).action((id: string, options: Options) => getRoute(io, id, options));

  const remove = program
    .command('route rm <...ids>', 'Remove routes')
    .alias('route remove')
    .example('oo route rm app.example.com app.example.com/api');
  remove.option('--reason <TEXT>', 'Why, for the change log');
  common(remove).action((ids: string[], options: Options) => removeRoutes(io, ids, options));
}

function common(command: Command): Command {
  command.option('-o, --output <FORMAT>', 'table, json, yaml or name');
  command.option('-q, --quiet', 'Names only: -o name');
  command.option('--offline', 'Work on the database itself; refused while a server runs');
  return addFlags(command, { ...commonSettings, ...remoteSettings });
}

async function saveRoutes(io: Io, paths: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const given = routeOfFlags(options);
  if (given && paths.length > 0)
    throw usageError('Files and --id are given both.', 'Save from files, or by --id and --target.');
  if (!given && paths.length === 0) {
    throw usageError(
      'There is nothing to save.',
      'Name a file, a directory or - for standard input, or give --id and --target.',
    );
  }
  const { values: routes, items } = given ? { values: [given], items: [] } : await routesOfFiles(io, paths);
  const outcome = await withRoutes(io, options, (api) => api.save(routes, options.reason)).catch(async (error) => {
    const placed = await placeFaults(((error as CliError).faults as Fault[] | undefined) ?? [], items);
    throw placed === undefined ? error : faultsFound(io, placed);
  });
  io.out(await savedText(outcome, routes, format));
  const { created, updated, unchanged, revision } = outcome;
  const counts = { created, updated, unchanged };
  const parts = Object.entries(counts).flatMap(([word, ids]) => (ids.length > 0 ? [`${ids.length} ${word}`] : []));
  io.err(`${parts.join(', ')}; revision ${revision}\n`);
}

async function routesOfFiles(io: Io, paths: readonly string[]): Promise<{ values: Route[]; items: readonly Item[] }> {
  const read = await readRouteItems(await sourcesOf(io, paths));
  if ('faults' in read) throw faultsFound(io, read.faults);
  if (read.values.length > 0) return read;
  const hint = 'Expected YAML or JSON with id and target; of a directory, its .yaml, .yml and .json files are read.';
  throw new CliError(`There are no routes in ${paths.join(', ')}.`, { hint });
}

async function savedText(outcome: SaveOutcome, routes: readonly Route[], format: Format): Promise<string> {
  if (format === 'name') return routes.map(({ id }) => `${id}\n`).join('');
  if (format !== 'table') return structured(outcome, format);
  return (
    wordLines('created', outcome.created) +
    wordLines('updated', outcome.updated) +
    wordLines('unchanged', outcome.unchanged)
  );
}

async function listRoutes(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const routes = await withRoutes(io, options, (api) => api.list(undefined, atOf(options)));
  io.out(await routesText(routes, format));
  if (routes.length === 0 && format === 'table')
    io.err('There are no routes yet: oo route save --help shows how to add one.\n');
}

async function getRoute(io: Io, id: string, options: Options): Promise<void> {
  const format = formatOf(options, 'yaml');
  const [route] = await withRoutes(io, options, (api) => api.list([checkedId(id)], atOf(options)));
  if (!route && options.at !== undefined)
    throw new CliError(`There was no route ${id} at ${options.at}.`, { hint: 'oo history shows what changed when.' });
  if (!route) throw new CliError(`There is no route ${id}.`, { hint: 'oo route list shows those that are.' });
  // Of a handler's text nobody wants 256 KiB at a terminal, unless it is asked for.
  const isShort = options.output === undefined && io.write === undefined;
  if (format === 'json' || format === 'yaml') io.out(await structured(isShort ? withoutSource(route) : route, format));
  else io.out(await routesText([route], format));
}

async function routesText(routes: readonly Route[], format: Format): Promise<string> {
  if (format === 'name') return routes.map(({ id }) => `${printable(id)}\n`).join('');
  if (format !== 'table') return structured(routes, format);
  const now = Date.now();
  return table(
    ['ROUTE ID', 'TARGET'],
    routes.map((route) => [route.id, targetText(route, now)].map(printable)),
  );
}

async function removeRoutes(io: Io, ids: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const checked = ids.map(checkedId);
  const outcome = await withRoutes(io, options, (api) => api.remove(checked, options.reason));
  const { removed, missing, revision } = outcome;
  if (format === 'name') io.out(removed.map((id) => `${id}\n`).join(''));
  else if (format === 'table') io.out(wordLines('removed', removed));
  else io.out(await structured(outcome, format));
  io.err(`${removed.length} removed; revision ${revision}\n`);
  if (missing.length === 0) return;
  throw new CliError(`There is no route ${missing.join(', ')}.`, { hint: 'oo route list shows those that are.' });
}

function checkedId(id: string): string {
  if (normalId(id) !== undefined) return id;
  throw usageError(`'${id}' is no route id.`, 'Expected a host, or a host and a path, such as app.example.com/api.');
}

function atOf({ at }: Options): number | undefined {
  return at === undefined ? undefined : revisionOf(at, '--at');
}

async function withRoutes<T>(io: Io, options: Options, work: (api: RoutesApi) => Promise<T>): Promise<T> {
  const api = options.offline ? await offlineApi(io, options) : await serverApi(io, options);
  try {
    return await work(api);
  } finally {
    await api.close();
  }
}

async function serverApi(io: Io, options: Options): Promise<RoutesApi> {
  if (options.db !== undefined)
    throw usageError('--db is for --offline: a running server has its own.', 'Add --offline, or leave --db out.');
  const { connect } = await import('./client.ts');
  return connect(callsOf(io, options, { offline: true }).call);
}

async function offlineApi(io: Io, options: Options): Promise<RoutesApi> {
  refuseRemote(options);
  if (options.at !== undefined)
    throw usageError('--at and --offline are given both.', 'A running server shows what was: leave --offline out.');
  const { stateDir, db, dbToken } = readSettings(commonSettings, options, io.env);
  const { openOffline } = await import('./offline.ts');
  return openOffline({
    ...{ stateDir: resolveStateDir(stateDir, io.env), db, dbToken, actor: actorOf(io.env) },
    warn: (message) => io.err(`oo: ${message}\n`),
  });
}
