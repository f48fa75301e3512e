import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { type Fault, readRoutes } from '../src/admin/schema.ts';
import type { Route } from '../src/core/types.ts';
import { CliError } from './failure.ts';
import { withHandlerSources } from './handler-files.ts';
import type { Io } from './io.ts';
import { parseJson } from './route-json.ts';

/** One input: a file, or standard input as `stdin`. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** Something wrong in a source. `line` counts from 1; 0 where no line is to blame. */
export interface SourceFault {
  readonly source: string;
  readonly line: number;
  readonly message: string;
}

/** A value that ought to be a route, or what else is read, and where it stands. */
export interface Item {
  readonly source: string;
  readonly value: unknown;
  /** The line of a field, or of the item where it has no such field. */
  line(field?: string): number | Promise<number>;
}

export interface Parsed {
  readonly items: Item[];
  readonly faults: SourceFault[];
}

/** More lines than this help nobody. */
const maxFaults = 100;

const extensions = new Set(['.yaml', '.yml', '.json']);

/**
 * The files that a path names: itself, or all .yaml, .yml and .json files below a directory, by name. Names that begin
 * with a dot are passed over; links are followed.
 * @throws CliError
 */
export function findFiles(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return walk(path, new Set());
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = { ENOENT: 'there is no such file', EACCES: 'this user may not read it' }[code ?? ''] ?? message;
    throw new CliError(`${path}: ${why}.`, { hint: 'Name a file, a directory, or - for standard input.', cause });
  }
}

function walk(directory: string, above: ReadonlySet<string>): string[] {
  const real = realpathSync(directory);
  if (above.has(real)) return [];
  const here = new Set(above).add(real);
  const files: string[] = [];
  for (const name of readdirSync(directory).sort()) {
    if (name.startsWith('.')) continue;
    const path = join(directory, name);
    if (statSync(path).isDirectory()) files.push(...walk(path, here));
    else if (extensions.has(extname(name).toLowerCase())) files.push(path);
  }
  return files;
}

/**
 * Reads a file as UTF-8.
 * @throws CliError
 */
export function readSource(path: string): Source {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new CliError(`${path} can't be read: ${(cause as Error).message}.`, { cause });
  }
  return decodeSource(path, bytes);
}

/** @throws CliError for bytes that are not UTF-8 */
export function decodeSource(name: string, bytes: Uint8Array): Source {
  try {
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (cause) {
    throw new CliError(`${name} is not UTF-8 text; expected YAML or JSON.`, { cause });
  }
}

/**
 * The routes of all sources together, or every fault with its place: syntax, shape, values, and ids that come twice.
 * Nothing is taken from a source that is partly wrong.
 */
export async function readRouteSources(
  sources: readonly Source[],
): Promise<{ routes: Route[] } | { faults: SourceFault[] }> {
  const read = await readRouteItems(sources);
  return 'faults' in read ? read : { routes: read.values };
}

/** The same, and where each of them stands. */
export function readRouteItems(sources: readonly Source[]) {
  return readItems(sources, proveRoutes);
}

/** What the server finds wrong, by its place in the list that it got, with the places in the files. Undefined: not all of it has one. */
export async function placeFaults(
  faults: readonly Fault[],
  items: readonly Item[],
): Promise<SourceFault[] | undefined> {
  if (faults.length === 0 || faults.some(({ index }) => index === undefined || items[index] === undefined))
    return undefined;
  return Promise.all(faults.map((fault) => place(fault, items)));
}

/** Routes with their handlers' texts, which are in files of their own. */
function proveRoutes(
  _: readonly unknown[],
  items: readonly Item[],
): { values: Route[] } | { faults: readonly Fault[] } {
  const { values, faults } = withHandlerSources(items);
  const proven = readRoutes(values);
  if (faults.length === 0) return 'faults' in proven ? proven : { values: proven.routes };
  return { faults: [...faults, ...('faults' in proven ? proven.faults : [])] };
}

/**
 * The items of all sources together, as `prove` makes them of what was read, or every fault with its place.
 * @param prove its faults have the index of the item; `items` say where each value comes from
 */
export async function readItems<T>(
  sources: readonly Source[],
  prove: (values: readonly unknown[], items: readonly Item[]) => { values: T[] } | { faults: readonly Fault[] },
): Promise<{ values: T[]; items: readonly Item[] } | { faults: SourceFault[] }> {
  const items: Item[] = [];
  const faults: SourceFault[] = [];
  for (const source of sources) {
    const parsed = await parseSource(source);
    for (const item of parsed.items) items.push(item);
    faults.push(...parsed.faults);
  }
  const read = prove(
    items.map(({ value }) => value),
    items,
  );
  if ('faults' in read) for (const fault of read.faults) faults.push(await place(fault, items));
  return faults.length > 0 || 'faults' in read ? { faults } : { values: read.values, items };
}

/**
 * What the paths of a command line name: files, directories, `-` for standard input.
 * @throws CliError
 */
export async function sourcesOf(io: Io, paths: readonly string[]): Promise<Source[]> {
  const sources: Source[] = [];
  for (const path of paths) {
    if (path === '-') sources.push(decodeSource('stdin', await io.read()));
    else sources.push(...findFiles(path).map(readSource));
  }
  return sources;
}

/** Shows faults, and is what the command ends with. */
export function faultsFound(io: Io, faults: readonly SourceFault[]): CliError {
  for (const { source, line, message } of faults.slice(0, maxFaults)) io.err(`${source}:${line}: ${message}\n`);
  if (faults.length > maxFaults) io.err(`… and ${faults.length - maxFaults} more\n`);
  const found = faults.length === 1 ? 'One fault was' : `${faults.length} faults were`;
  return new CliError(`${found} found; nothing was saved.`, { hint: 'Mend it, then run the same command again.' });
}

async function parseSource(source: Source): Promise<Parsed> {
  const json = parseJson(source);
  if (json) return json;
  // YAML's parser is loaded where there is YAML.
  const { parseYaml } = await import('./route-yaml.ts');
  return parseYaml(source);
}

async function place({ index = 0, first, field, message }: Fault, items: readonly Item[]): Promise<SourceFault> {
  const item = items[index];
  const at = { source: item.source, line: await item.line(field) };
  if (first === undefined) return { ...at, message };
  const other = items[first];
  const where = `${other.source}:${await other.line('id')}`;
  return { ...at, message: `id '${(item.value as Route).id}' is that of ${where} too; expected each id once` };
}
