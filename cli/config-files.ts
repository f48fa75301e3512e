import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readDefinitions } from '../src/admin/definitions.ts';
import { pointerOf } from '../src/admin/pointer.ts';
import type { ApplyRequest, OwnCertificate } from '../src/admin/resources.ts';
import { type Fault, readRoutes } from '../src/admin/schema.ts';
import { readSettings } from '../src/admin/settings.ts';
import { withHandlerSources } from './handler-files.ts';
import type { Source, SourceFault } from './route-files.ts';
import { parseJsonDocument } from './route-json.ts';
import type { Located, Path } from './route-yaml.ts';

/** What a document of a configuration may hold. */
export const configFields = ['routes', 'services', 'settings', 'certificates', 'owner'] as const;

/** A thing that a file says, and where. */
export interface ConfigItem {
  readonly source: string;
  readonly value: unknown;
  /** The line of a part of it. */
  line(path?: Path): number | Promise<number>;
}

/** All things that files say, by kind, in the order in which they are sent. */
export interface ConfigItems {
  readonly route: ConfigItem[];
  readonly service: ConfigItem[];
  readonly settings: ConfigItem[];
  readonly certificate: ConfigItem[];
  readonly owner: ConfigItem[];
}

export interface ConfigFiles {
  readonly request: ApplyRequest;
  readonly items: ConfigItems;
}

/** A fault of this program's own proof, or of the server's. */
export interface KindFault extends Fault {
  readonly kind?: string;
  readonly pointer?: string;
}

/**
 * The configuration that all sources make together, or every fault with its place: syntax, shape, values, ids that come twice, and files of
 * certificates that can't be read. A document is a route, a list of routes, or a mapping with `configFields`.
 */
export async function readConfig(sources: readonly Source[]): Promise<ConfigFiles | { faults: SourceFault[] }> {
  const { items, faults } = await parseConfig(sources);
  const own: KindFault[] = [];
  const sourced = withHandlerSources(items.route);
  own.push(...sourced.faults.map((fault) => ({ ...fault, kind: 'route' })));
  const routes = readRoutes(sourced.values);
  if ('faults' in routes) own.push(...routes.faults.map((fault) => ({ ...fault, kind: 'route' })));
  const services = readDefinitions(items.service.map(({ value }) => value));
  if ('faults' in services) own.push(...services.faults.map((fault) => ({ ...fault, kind: 'service' })));
  const settings = items.settings.length > 0 ? readSettings(items.settings[0].value) : undefined;
  if (settings && 'faults' in settings) own.push(...settings.faults.map((fault) => ({ ...fault, kind: 'settings' })));
  own.push(...(await onceEach(items)));
  const certificates = items.certificate.map(({ source, value }, index) => {
    const read = readCertificate(source, value);
    if ('faults' in read) own.push(...read.faults.map((fault) => ({ ...fault, kind: 'certificate', index })));
    return read as OwnCertificate;
  });
  for (const fault of own) faults.push(await placeFault(fault, items));
  if (faults.length > 0 || 'faults' in routes || 'faults' in services || (settings && 'faults' in settings))
    return { faults };
  const owner = items.owner[0]?.value as string | undefined;
  const request: ApplyRequest = {
    ...(routes.routes.length > 0 && { routes: routes.routes }),
    ...(services.definitions.length > 0 && { services: services.definitions }),
    ...(settings && { settings: settings.settings }),
    ...(certificates.length > 0 && { certificates }),
    ...(owner !== undefined && { owner }),
  };
  return { request, items };
}

/** What all sources say, as it stands there: nothing of it is proven but the shape of the documents. */
export async function parseConfig(
  sources: readonly Source[],
): Promise<{ items: ConfigItems; faults: SourceFault[]; documents: number }> {
  const items: ConfigItems = { route: [], service: [], settings: [], certificate: [], owner: [] };
  const faults: SourceFault[] = [];
  let count = 0;
  for (const source of sources) {
    const parsed = await documentsOf(source);
    faults.push(...parsed.faults);
    count += parsed.documents.length;
    for (const document of parsed.documents) await takeDocument(source.name, document, items, faults);
  }
  return { items, faults, documents: count };
}

async function documentsOf(source: Source): Promise<{ documents: Located[]; faults: SourceFault[] }> {
  const json = parseJsonDocument(source);
  if (json) return { documents: [json], faults: [] };
  // YAML's parser is loaded where there is YAML.
  const { parseDocuments } = await import('./route-yaml.ts');
  return parseDocuments(source);
}

/** Whether a mapping is a configuration, not a route. */
export function isConfig(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isMapping(value)) return false;
  const keys = Object.keys(value);
  if (configFields.some((field) => field !== 'owner' && keys.includes(field))) return true;
  return keys.length === 0 || (keys.length === 1 && keys[0] === 'owner');
}

async function takeDocument(source: string, document: Located, items: ConfigItems, faults: SourceFault[]) {
  const { value, line } = document;
  const item = (one: unknown, path: Path): ConfigItem => ({
    source,
    value: one,
    line: (inner = []) => line([...path, ...inner]),
  });
  if (Array.isArray(value)) return void items.route.push(...value.map((one, i) => item(one, [i])));
  if (!isConfig(value)) return void items.route.push(item(value, []));
  const fault = async (path: Path, message: string) => faults.push({ source, line: await line(path), message });
  for (const key of Object.keys(value)) {
    if ((configFields as readonly string[]).includes(key)) continue;
    await fault([key], `unknown field '${key.slice(0, 100)}'; expected one of ${configFields.join(', ')}`);
  }
  const listed = async (field: 'routes' | 'services' | 'certificates', into: ConfigItem[]) => {
    const things = value[field];
    if (things === undefined || things === null) return;
    if (Array.isArray(things)) into.push(...things.map((one, i) => item(one, [field, i])));
    else if (!isMapping(things)) await fault([field], `${field} is no list; expected a list, or a mapping by id`);
    else
      for (const [id, one] of Object.entries(things)) {
        const path = [field, id];
        if (!isMapping(one)) await fault(path, `${field}.${id} is no mapping; expected one with its fields`);
        else if (one.id !== undefined && one.id !== id)
          await fault([...path, 'id'], `id is another one than '${id}', under which it stands; expected it once`);
        else into.push(item({ id, ...one }, path));
      }
  };
  await listed('routes', items.route);
  await listed('services', items.service);
  await listed('certificates', items.certificate);
  if (value.settings !== undefined) items.settings.push(item(value.settings, ['settings']));
  if (value.owner === undefined) return;
  if (typeof value.owner === 'string') items.owner.push(item(value.owner, ['owner']));
  else await fault(['owner'], 'owner is no text; expected a label such as shop-team');
}

/** Of settings there may be one; of owners one, if several times; certificates have each id once. */
async function onceEach(items: ConfigItems): Promise<KindFault[]> {
  const faults: KindFault[] = [];
  const twice = async (kind: 'settings' | 'owner' | 'certificate', index: number, what: string, first: number) => {
    const other = items[kind][first];
    const where = `${other.source}:${await other.line()}`;
    faults.push({ kind, index, message: `${what} ${where} too; expected once` });
  };
  for (let i = 1; i < items.settings.length; i++) await twice('settings', i, 'settings are given in', 0);
  for (let i = 1; i < items.owner.length; i++) {
    const { value } = items.owner[i];
    if (value !== items.owner[0].value) await twice('owner', i, 'another owner is given in', 0);
  }
  const places = new Map<unknown, number>();
  for (const [i, { value }] of items.certificate.entries()) {
    const id = isMapping(value) ? value.id : undefined;
    const first = id === undefined ? undefined : places.get(id);
    if (first !== undefined)
      await twice('certificate', i, `certificate '${String(id).slice(0, 100)}' is given in`, first);
    else if (id !== undefined) places.set(id, i);
  }
  return faults;
}

/** The PEM texts of a certificate's two files; paths go from the file that names them. */
function readCertificate(source: string, value: unknown): OwnCertificate | { faults: Fault[] } {
  if (!isMapping(value)) return { faults: [{ message: 'a certificate is a mapping; expected one with cert and key' }] };
  const faults: Fault[] = [];
  for (const field of Object.keys(value))
    if (!['id', 'cert', 'key'].includes(field))
      faults.push({ field, message: `unknown field '${field.slice(0, 100)}'; expected one of id, cert, key` });
  if (value.id !== undefined && typeof value.id !== 'string')
    faults.push({ field: 'id', message: 'id is no text; expected a host such as example.com' });
  const text = (field: 'cert' | 'key'): string => {
    const path = value[field];
    if (typeof path !== 'string' || path === '' || path.startsWith('-----')) {
      const is = path === undefined ? 'missing' : 'no path';
      faults.push({ field, message: `${field} is ${is}; expected the path of a PEM file, such as ./${field}.pem` });
      return '';
    }
    try {
      return readFileSync(resolve(source === 'stdin' ? '.' : dirname(source), path), 'utf8');
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const why = { ENOENT: 'there is no such file', EACCES: 'this user may not read it' }[code ?? ''] ?? message;
      faults.push({ field, message: `${field}: ${path.slice(0, 200)}: ${why}` });
      return '';
    }
  };
  const [cert, key] = [text('cert'), text('key')];
  if (faults.length > 0) return { faults };
  return { ...(value.id !== undefined && { id: value.id as string }), cert, key };
}

/** A fault with the file and the line that it is of. */
export async function placeFault(fault: KindFault, items: ConfigItems): Promise<SourceFault> {
  const { kind = 'route', index = 0, first, id, message } = fault;
  const things: readonly ConfigItem[] = items[kind as keyof ConfigItems] ?? [];
  const item = things[index];
  if (item === undefined) return { source: id ?? 'oo apply', line: 0, message };
  const at = { source: item.source, line: await item.line(pathOf(fault, item.value)) };
  if (first === undefined) return { ...at, message };
  const other = things[first];
  const where = `${other.source}:${await other.line(['id'])}`;
  return { ...at, message: `id '${(item.value as { id: string }).id}' is that of ${where} too; expected each id once` };
}

function pathOf({ index: _, ...fault }: KindFault, value: unknown): string[] {
  return pointerOf(fault, '', value)
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
