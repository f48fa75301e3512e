import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  parseAllDocuments,
  stringify,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { normalId } from '../src/admin/schema.ts';
import { isConfig, parseConfig } from './config-files.ts';
import { documentOf } from './export.ts';
import { planHandlers } from './export-handlers.ts';
import { CliError } from './failure.ts';
import { findFiles, readSource, type Source } from './route-files.ts';

type Mapping = Readonly<Record<string, unknown>>;
type Thing = Mapping & { readonly id: string };
type Kind = 'route' | 'service';

/** What is exported, as `apply` takes it. */
export interface Exported {
  readonly routes: readonly Thing[];
  readonly services: readonly Thing[];
  readonly settings: Mapping;
  /** Whose all of it is: things that say no owner are of this one. */
  readonly owner?: string;
}

/** A file as it is to be. */
export interface ExportFile {
  readonly path: string;
  readonly text: string;
  /** Whether it is so already. */
  readonly isSame: boolean;
}

export interface ExportOptions {
  readonly format: 'yaml' | 'json';
  /** Lines of comments for a new file. */
  readonly comments: string;
  /** Replaces what can't be changed in place. */
  readonly force: boolean;
}

const yamlOptions = { lineWidth: 0, blockQuote: 'literal' } as const;

/**
 * What files are to hold so that all of them together make the configuration: a file that is there keeps its comments, its order, and how it spells
 * what is not changed. Nothing is written yet.
 * @param path a file, or a directory
 * @throws CliError for a file that can't be kept so, unless forced
 */
export async function planExport(path: string, whole: Exported, options: ExportOptions): Promise<ExportFile[]> {
  const isDirectory = existsSync(path) ? statSync(path).isDirectory() : !/\.(ya?ml|json)$/i.test(basename(path));
  const sources = existsSync(path) ? findFiles(path).map(readSource) : [];
  const root = isDirectory ? path : dirname(path);
  const home = sources.length === 1 ? dirname(sources[0].name) : root;
  const hasHandlers = whole.routes.some(({ handler }) => handler !== undefined);
  const items = hasHandlers ? (await parseConfig(sources)).items.route : [];
  const handlers = planHandlers(whole.routes, items, root, home);
  const exported = { ...whole, routes: handlers.routes };
  if (sources.length === 0 || (options.force && !isDirectory))
    return [...handlers.files, ...freshFiles(path, isDirectory, exported, options)];
  const left = leftOf(exported);
  const files = sources.map((source) => ({ path: source.name, old: source.text, text: inPlace(source, left) }));
  const rest: Exported = {
    owner: exported.owner,
    routes: [...left.route.values()],
    services: [...left.service.values()],
    settings: (exported.owner === undefined && left.settings) || {},
  };
  // A directory of one file is that file.
  const extra = files.length > 1 ? addedFiles(path, rest, files, options) : addedTo(files[0], rest);
  const all = [...files, ...extra].map(({ path: name, old, text }) => ({ path: name, text, isSame: old === text }));
  await proveSame(all, exported);
  // Handlers first: a file that names one that is not there yet can't be applied.
  return [...handlers.files, ...all];
}

/** Writes what is not the same, each file in one step. @throws CliError */
export function writeExport(files: readonly ExportFile[]): void {
  for (const { path, text, isSame } of files) {
    if (isSame) continue;
    const draft = `${path}.oo-${process.pid}`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o644;
      writeFileSync(draft, text, { mode });
      renameSync(draft, path);
    } catch (cause) {
      rmSync(draft, { force: true });
      const hint = 'Mend its owner and mode, or name another file.';
      throw new CliError(`${path} can't be written: ${(cause as Error).message}.`, { hint, cause });
    }
  }
}

interface Draft {
  readonly path: string;
  /** '' for a new file. */
  readonly old: string;
  text: string;
}

function freshFiles(path: string, isDirectory: boolean, exported: Exported, options: ExportOptions): ExportFile[] {
  const old = existsSync(path) && !isDirectory ? readFileSync(path, 'utf8') : '';
  const drafts: Draft[] = isDirectory
    ? addedFiles(path, { ...exported, settings: exported.owner === undefined ? exported.settings : {} }, [], options)
    : [{ path, old, text: textOf(documentOf(exported), options) }];
  return drafts.map(({ path: name, old: before, text }) => ({ path: name, text, isSame: before === text }));
}

function textOf(value: object, { format, comments }: ExportOptions): string {
  if (format === 'json') return `${JSON.stringify(value, undefined, 2)}\n`;
  return comments + stringify(value, yamlOptions);
}

/** In a directory new things go to `routes.yaml`, `services.yaml`, `settings.yaml`. */
function addedFiles(dir: string, rest: Exported, files: Draft[], options: ExportOptions): Draft[] {
  const added: Draft[] = [];
  for (const kind of ['settings', 'services', 'routes'] as const) {
    const things = { owner: rest.owner, routes: [], services: [], settings: {}, [kind]: rest[kind] } as Exported;
    if (Object.keys(rest[kind]).length === 0) continue;
    const path = join(dir, `${kind}.${options.format}`);
    const there = files.find((file) => file.path === path);
    if (there) addTo(there, things);
    else {
      const comments = kind === 'routes' ? options.comments : '';
      added.push({ path, old: '', text: textOf(documentOf(things), { ...options, comments }) });
    }
  }
  return added;
}

function addedTo(file: Draft, rest: Exported): Draft[] {
  addTo(file, rest);
  return [];
}

/** What no file has yet, by normal id; a thing that is found in a file is taken out. */
interface Left {
  readonly route: Map<string, Thing>;
  readonly service: Map<string, Thing>;
  settings: Mapping | undefined;
  readonly owner: string | undefined;
}

function leftOf({ routes, services, settings, owner }: Exported): Left {
  return {
    owner,
    route: new Map(routes.map((one) => [one.id, one])),
    service: new Map(services.map((one) => [one.id, one])),
    settings: Object.keys(settings).length > 0 ? settings : undefined,
  };
}

function refusedFile(path: string, why: string): CliError {
  return new CliError(`${path} can't be kept as it is written: ${why}.`, {
    hint: 'Export to another file or directory, or replace it with --force.',
  });
}

function parsed({ name, text }: Source): Document.Parsed[] {
  if (/\.json$/i.test(extname(name)) || /^\s*[{[]/.test(text)) {
    throw refusedFile(name, 'it is JSON, which has no comments to keep');
  }
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  const error = documents.flatMap(({ errors }) => errors)[0];
  if (error) throw refusedFile(name, 'it is not valid YAML');
  return documents as Document.Parsed[];
}

function written(documents: readonly Document[]): string {
  return documents.map((one) => one.toString(yamlOptions)).join('');
}

function inPlace(source: Source, left: Left): string {
  try {
    return updated(source, left);
  } catch (error) {
    if (error instanceof CliError) throw error;
    // Of an anchor that is gone, say, which others refer to.
    throw refusedFile(source.name, (error as Error).message);
  }
}

/** A file's text with its things as they are now. Those that are no more are gone from it; new ones are not in it yet. */
function updated(source: Source, left: Left): string {
  const documents = parsed(source);
  let isChanged = false;
  const gone = new Set<Document>();
  for (const document of documents) {
    const value = document.toJS();
    if (value === null || value === undefined) continue;
    const { contents } = document;
    if (isSeq(contents)) isChanged = updateList(document, contents, 'route', left) || isChanged;
    else if (!isMap(contents)) throw refusedFile(source.name, 'it holds something else than routes');
    else if (!isConfig(value)) {
      const outcome = updateThing(document, contents, value as Mapping, 'route', left);
      if (outcome === 'gone') gone.add(document);
      isChanged = outcome !== 'same' || isChanged;
    } else isChanged = updateConfig(document, contents, left) || isChanged;
  }
  if (!isChanged) return source.text;
  const kept = documents.filter((one) => !gone.has(one));
  // It was set off from one that is gone.
  if (kept.length > 0 && kept[0] !== documents[0] && kept[0].directives) kept[0].directives.docStart = null;
  return written(kept);
}

function updateConfig(document: Document, contents: YAMLMap, left: Left): boolean {
  let isChanged = false;
  for (const [field, kind] of [
    ['routes', 'route'],
    ['services', 'service'],
  ] as const) {
    const list = contents.get(field, true) as unknown;
    if (isSeq(list)) isChanged = updateList(document, list, kind, left) || isChanged;
    else if (isMap(list)) {
      for (const pair of [...list.items]) {
        const id = keyOf(pair);
        const fields = isMap(pair.value) ? (pair.value.toJS(document) as Mapping) : {};
        const outcome = isMap(pair.value)
          ? updateThing(document, pair.value, { id, ...fields }, kind, left, 'id' in fields)
          : 'same';
        if (outcome === 'gone') list.delete(pair.key);
        isChanged = outcome !== 'same' || isChanged;
      }
    }
  }
  const settings = contents.get('settings', true) as unknown;
  if (isMap(settings)) {
    isChanged = merge(document, settings, left.settings ?? {}) || isChanged;
    left.settings = undefined;
  }
  return isChanged;
}

function keyOf({ key }: Pair): string {
  return String(isScalar(key) ? key.value : key);
}

function updateList(document: Document, list: YAMLSeq, kind: Kind, left: Left): boolean {
  let isChanged = false;
  for (const node of [...list.items]) {
    if (!isMap(node)) continue;
    const outcome = updateThing(document, node, node.toJS(document) as Mapping, kind, left);
    if (outcome === 'gone') list.items.splice(list.items.indexOf(node), 1);
    isChanged = outcome !== 'same' || isChanged;
  }
  return isChanged;
}

/** @param hasId whether the mapping itself says the id */
function updateThing(
  document: Document,
  node: YAMLMap,
  value: Mapping,
  kind: Kind,
  left: Left,
  hasId = true,
): 'same' | 'changed' | 'gone' {
  const given = String(value.id);
  const id = kind === 'route' ? (normalId(given) ?? given) : given;
  const thing = left[kind].get(id);
  left[kind].delete(id);
  if (thing === undefined) return 'gone';
  const { id: _, owner, ...rest } = thing;
  const isSaid = owner !== undefined && (owner !== left.owner || 'owner' in value);
  const fields = { ...rest, ...(isSaid && { owner }) };
  // The file's way to write the id, and a rollout that it says, stay its own.
  const kept = { ...(hasId && { id: value.id }), ...fields, ...('rollout' in value && { rollout: value.rollout }) };
  return merge(document, node, kept) ? 'changed' : 'same';
}

/** Makes a mapping say what a value does; what is equal is not touched. @returns whether anything was changed */
function merge(document: Document, node: YAMLMap, value: Mapping): boolean {
  let isChanged = false;
  for (const pair of [...node.items]) {
    if (Object.hasOwn(value, keyOf(pair))) continue;
    node.delete(pair.key);
    isChanged = true;
  }
  for (const [field, wanted] of Object.entries(value)) {
    const pair = node.items.find((one) => keyOf(one) === field);
    const inner = pair?.value as { toJS?(document: Document): unknown } | undefined;
    const is = inner?.toJS?.(document);
    if (pair && isEqual(is, wanted)) continue;
    if (pair && isMap(pair.value) && isMapping(wanted)) merge(document, pair.value, wanted);
    // A scalar is changed in place: what stands behind it in its line stays.
    else if (pair && isScalar(pair.value) && typeof wanted !== 'object') pair.value.value = wanted;
    else if (pair) pair.value = document.createNode(wanted);
    else node.add(document.createPair(field, wanted));
    isChanged = true;
  }
  return isChanged;
}

/** Puts new things at the end of a file: to the list that it has, or a new document. */
function addTo(file: Draft, rest: Exported): void {
  const { owner, ...value } = documentOf(rest) as Record<string, unknown>;
  if (Object.keys(value).length === 0) return;
  const documents = parsed({ name: file.path, text: file.text });
  for (const field of ['routes', 'services'] as const) {
    const home = documents.map((document) => homeOf(document, field)).find((one) => one !== undefined);
    if (home === undefined || value[field] === undefined) continue;
    home(value[field] as Thing[]);
    delete value[field];
  }
  const config = documents.find((document) => isMap(document.contents) && isConfig(document.toJS()));
  if (config)
    for (const [field, things] of Object.entries(value)) {
      config.set(field, config.createNode(things));
      delete value[field];
    }
  file.text = documents.length > 0 ? written(documents) : file.text;
  if (Object.keys(value).length === 0) return;
  const text = file.text.trim() === '' ? file.text : `${file.text.replace(/\n*$/, '\n')}---\n`;
  file.text = text + stringify({ ...(owner !== undefined && { owner }), ...value }, yamlOptions);
}

/** Adds to a list, or a mapping by id, that a document has; undefined where it has none. */
function homeOf(document: Document, field: 'routes' | 'services'): ((things: readonly Thing[]) => void) | undefined {
  const { contents } = document;
  const list = isSeq(contents)
    ? field === 'routes'
      ? contents
      : undefined
    : isMap(contents)
      ? contents.get(field, true)
      : undefined;
  if (isSeq(list)) return (things) => things.forEach((one) => void list.add(document.createNode(one)));
  if (!isMap(list)) return undefined;
  return (things) => {
    for (const { id, ...fields } of things) (list as YAMLMap).add(document.createPair(id, fields));
  };
}

/** The files are read as `apply` will read them: they must say just what was exported. @throws CliError */
async function proveSame(files: readonly ExportFile[], exported: Exported): Promise<void> {
  const { items, faults } = await parseConfig(files.map(({ path, text }) => ({ name: path, text })));
  const ids = (list: readonly { value: unknown }[], kind: Kind) =>
    new Map(
      list.map(({ value }) => {
        const { rollout: _, ...rest } = (isMapping(value) ? value : {}) as Mapping;
        const id = kind === 'route' ? (normalId(String(rest.id)) ?? String(rest.id)) : String(rest.id);
        return [id, { ...(exported.owner !== undefined && { owner: exported.owner }), ...rest, id }];
      }),
    );
  const settings = Object.assign({}, ...items.settings.map(({ value }) => value));
  const isWhole =
    faults.length === 0 &&
    isEqual(Object.fromEntries(ids(items.route, 'route')), byId(exported.routes)) &&
    isEqual(Object.fromEntries(ids(items.service, 'service')), byId(exported.services)) &&
    (isEqual(settings, exported.settings) || (exported.owner !== undefined && items.settings.length === 0));
  if (isWhole) return;
  const [first] = files.filter(({ isSame }) => !isSame);
  throw refusedFile((first ?? files[0]).path, faults[0]?.message ?? 'what it says could not be changed in its place');
}

function byId(things: readonly Thing[]): Mapping {
  return Object.fromEntries(things.map((thing) => [thing.id, thing]));
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => isEqual(one, b[i]));
  if (!isMapping(a) || !isMapping(b)) return false;
  const [ones, others] = [Object.keys(a), Object.keys(b)];
  return ones.length === others.length && ones.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]));
}
