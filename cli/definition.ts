import type { CAC, Command } from 'cac';
import { readDefinitions } from '../src/admin/definitions.ts';
import { serviceFields } from '../src/admin/schema.ts';
import { nearest } from './argv.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured, table, wordLines } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { faultsFound, readItems, sourcesOf } from './route-files.ts';

/** As the API shows it: an id, options, and fields that are anybody's. */
type Definition = Readonly<Record<string, unknown>> & { readonly id: string };

/** `oo definition list|get|save|rm`. */
export function addDefinitionCommands(program: CAC, io: Io): void {
  const save = program
    .command(
      'definition save <...paths>',
      "Save services' options from files, directories or - (stdin); adds and replaces",
    )
    .alias('definition s')
    .example('oo definition save services.yaml        # one definition, a list, or several --- documents')
    .example('echo \'{"id":"user-svc","balance":"least-requests","health":"/up"}\' | oo def save -');
  common(save).action((paths: string[], options: CommonOptions) => saveDefinitions(io, paths, options));

  const list = program
    .command('definition list', 'List the definitions of services')
    .alias('definition ls')
    .example('oo definition ls')
    .example('oo def ls -o yaml');
  common(list).action((options: CommonOptions) => listDefinitions(io, options));

  const get = program
    .command('definition get <id>', 'Show one definition, with all its options')
    .example('oo definition get user-svc');
  common(get).action((id: string, options: CommonOptions) => getDefinition(io, id, options));

  const remove = program
    .command('definition rm <...ids>', 'Remove definitions: their services go by the defaults')
    .alias('definition remove')
    .example('oo definition rm user-svc');
  common(remove).action((ids: string[], options: CommonOptions) => removeDefinitions(io, ids, options));
}

function common(command: Command): Command {
  return withRemote(withOutput(command));
}

function calls(io: Io, options: CommonOptions) {
  return callsOf(io, options as Record<string, unknown>).call;
}

async function saveDefinitions(io: Io, paths: readonly string[], options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const read = await readItems(await sourcesOf(io, paths), (values) => {
    const proven = readDefinitions(values);
    return 'faults' in proven ? proven : { values: proven.definitions };
  });
  if ('faults' in read) throw faultsFound(io, read.faults);
  const { values: definitions, items } = read;
  if (definitions.length === 0) {
    const hint = 'Expected YAML or JSON with id and options; of a directory, its .yaml, .yml and .json files are read.';
    throw new CliError(`There are no definitions in ${paths.join(', ')}.`, { hint });
  }
  for (const [i, definition] of definitions.entries()) {
    for (const [field, meant] of likelyMistakes(definition)) {
      const place = `${items[i].source}:${await items[i].line(field)}`;
      io.err(`${place}: ${printable(field)} is kept, but says nothing to oo; did you mean ${meant}?\n`);
    }
  }
  const outcome = await calls(io, options)('PUT', '/v1/definitions', { definitions });
  const { created, updated, unchanged } = outcome as Record<'created' | 'updated' | 'unchanged', string[]>;
  if (format === 'name') return io.out(definitions.map(({ id }) => `${id}\n`).join(''));
  if (format !== 'table') return io.out(await structured(outcome, format));
  io.out(wordLines('created', created) + wordLines('updated', updated) + wordLines('unchanged', unchanged));
}

/** Fields of any name are kept, as the seed's are; one that is nearly an option's may be meant as one. */
function likelyMistakes(definition: Definition): [field: string, meant: string][] {
  const known: readonly string[] = ['id', ...serviceFields];
  return Object.keys(definition).flatMap((field): [string, string][] => {
    const meant = known.includes(field) || field.length < 4 ? undefined : nearest(field, serviceFields);
    return meant === undefined ? [] : [[field, meant]];
  });
}

async function listDefinitions(io: Io, options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const { definitions } = (await calls(io, options)('GET', '/v1/definitions')) as { definitions: Definition[] };
  if (format === 'name') return io.out(definitions.map(({ id }) => `${id}\n`).join(''));
  if (format !== 'table') return io.out(await structured(definitions.map(idFirst), format));
  io.out(definitionsTable(definitions));
  if (definitions.length === 0)
    io.err('There are no definitions: services go by the defaults. See oo definition save --help.\n');
}

function definitionsTable(definitions: readonly Definition[]): string {
  const rows = definitions.map((definition) => [definition.id, optionsText(definition)].map(printable));
  return table(['DEFINITION ID', 'OPTIONS'], rows);
}

/** `balance=least-requests health=/up`; what does not fit is left to `oo definition get`. */
function optionsText(definition: Definition): string {
  const fields = serviceFields.filter((field) => definition[field] !== undefined);
  const text = fields.map((field) => {
    const value = definition[field];
    return `${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  const line = text.join(' ');
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

/** A change of it may have put its id behind. */
function idFirst({ id, ...fields }: Definition): Definition {
  return { id, ...fields };
}

async function getDefinition(io: Io, id: string, options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'yaml');
  const { definitions } = (await calls(io, options)('GET', '/v1/definitions')) as { definitions: Definition[] };
  const found = definitions.find((definition) => definition.id === id);
  if (found === undefined) {
    const hint = 'oo definition ls shows those that are; a service without one goes by the defaults.';
    throw new CliError(`There is no definition ${printable(id)}.`, { hint });
  }
  if (format === 'name') return io.out(`${found.id}\n`);
  io.out(format === 'table' ? definitionsTable([found]) : await structured(idFirst(found), format));
}

async function removeDefinitions(io: Io, ids: readonly string[], options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  if (ids.some((id) => id === '')) throw usageError('An id is empty.', 'oo definition ls shows those that are.');
  const outcome = await calls(io, options)('DELETE', '/v1/definitions', { ids });
  const { removed, missing } = outcome as Record<'removed' | 'missing', string[]>;
  if (format === 'name') io.out(removed.map((id) => `${id}\n`).join(''));
  else io.out(format === 'table' ? wordLines('removed', removed) : await structured(outcome, format));
  if (missing.length === 0) return;
  const message = `There is no definition ${missing.map(printable).join(', ')}.`;
  throw new CliError(message, { hint: 'oo definition ls shows those that are.' });
}
