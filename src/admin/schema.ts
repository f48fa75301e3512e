import * as v from 'valibot';
import { formatRouteId, parseRouteId } from '../core/host.ts';
import { nearest } from '../core/nearest.ts';
import { poolOptionNames } from '../core/pool-compile.ts';
import type { ServiceOptions, TargetSpec } from '../core/pool-types.ts';
import { compileRoute } from '../core/routes.ts';
import { serviceFaults } from '../core/service.ts';
import type { Route, Target } from '../core/types.ts';
import { type Fault, isMapping, short, show } from './fault.ts';

export type { Fault } from './fault.ts';
export { readBody } from './read-body.ts';

/** What each field is expected to be: the words of every message about it. */
const expected: Record<keyof Route, string> = {
  id: 'a host, or a host and a path, such as app.example.com/api',
  target: 'an address such as http://10.0.0.2:3000',
  hostHeader: 'client or upstream',
  insecureSkipVerify: 'true or false',
  connectTimeoutMs: 'whole milliseconds',
  responseTimeoutMs: 'whole milliseconds',
  idleTimeoutMs: 'whole milliseconds',
  maxBodyBytes: 'a whole number of bytes',
  http: 'redirect or allow',
  hsts: 'true, false, or such as max-age=31536000; includeSubDomains',
  keyType: 'ecdsa or rsa',
  certificate: 'a host such as example.com',
  balance: 'a policy such as least-requests, or a mapping',
  health: 'false, a path such as /up, tcp, grpc, or a mapping',
  outlier: 'true, false, or a mapping',
  breaker: 'true, false, or a mapping',
  limits: 'a mapping with maxConnections, maxWaiting, maxWaitMs',
  retry: 'true, false, or a mapping',
  rollout: 'a mapping with gate, canary, previous',
  owner: 'a label such as shop-team',
  stripPrefix: 'true, false, or a prefix such as /api',
  addPrefix: 'a prefix such as /v2',
  redirect: 'an address such as https://www.example.com, or a mapping with to, status, keepPath',
  respond: 'a text, or a mapping with status, body, contentType, headers',
  requestHeaders: 'a mapping with set, add, remove',
  responseHeaders: 'a mapping with set, add, remove',
  basicAuth: 'a mapping with users and realm',
  forwardAuth: 'an address such as http://127.0.0.1:9091/verify, or a mapping with url',
  access: 'a mapping with allow, deny',
  rateLimit: 'a mapping with requests, perMs, burst, by',
  compress: 'true, false, or a mapping with codings, minBytes, types',
  cors: 'true, false, or a mapping with origins',
  maintenance: 'true, false, a message, or a mapping with message, retryAfterSeconds, allow',
  mirror: 'an address such as http://10.0.0.9:3000, or a mapping with target',
  handler: 'a file such as ./auth.mjs, or a mapping with file, source, timeoutMs, memoryMb',
};

/** The names of a route's fields, as files and the API spell them. */
export const routeFields = Object.keys(expected) as readonly (keyof Route)[];

/** The core proves these down to the last field of their mappings, and says each fault with its path: `balance.policy is …`. */
function proven<Field extends keyof Route>() {
  return v.optional(v.custom<NonNullable<Route[Field]>>((value) => value !== null));
}

/** A route's shape. What its values must be is the core's to say: `readRoutes` asks both. */
export const routeSchema = v.strictObject({
  id: v.string(),
  target: v.optional(
    v.custom<TargetSpec>((value) => typeof value === 'string' || (Array.isArray(value) && value.length > 0)),
  ),
  hostHeader: v.optional(v.picklist(['client', 'upstream'])),
  insecureSkipVerify: v.optional(v.boolean()),
  connectTimeoutMs: v.optional(v.number()),
  responseTimeoutMs: v.optional(v.number()),
  idleTimeoutMs: v.optional(v.number()),
  maxBodyBytes: v.optional(v.number()),
  http: v.optional(v.picklist(['redirect', 'allow'])),
  hsts: v.optional(v.union([v.boolean(), v.string()])),
  keyType: v.optional(v.picklist(['ecdsa', 'rsa'])),
  certificate: v.optional(v.string()),
  balance: proven<'balance'>(),
  health: proven<'health'>(),
  outlier: proven<'outlier'>(),
  breaker: proven<'breaker'>(),
  limits: proven<'limits'>(),
  retry: proven<'retry'>(),
  rollout: proven<'rollout'>(),
  owner: v.optional(v.string()),
  stripPrefix: proven<'stripPrefix'>(),
  addPrefix: proven<'addPrefix'>(),
  redirect: proven<'redirect'>(),
  respond: proven<'respond'>(),
  requestHeaders: proven<'requestHeaders'>(),
  responseHeaders: proven<'responseHeaders'>(),
  basicAuth: proven<'basicAuth'>(),
  forwardAuth: proven<'forwardAuth'>(),
  access: proven<'access'>(),
  rateLimit: proven<'rateLimit'>(),
  compress: proven<'compress'>(),
  cors: proven<'cors'>(),
  maintenance: proven<'maintenance'>(),
  mirror: proven<'mirror'>(),
  handler: proven<'handler'>(),
});

/** A reason is a line in the change log, not an essay. */
const reasonSchema = v.optional(v.pipe(v.string(), v.maxLength(1_000)));

export const saveSchema = v.strictObject({ routes: v.array(v.unknown()), reason: reasonSchema });
export const listSchema = v.strictObject({ ids: v.optional(v.array(v.string())) });
export const removeSchema = v.strictObject({ ids: v.array(v.string()), reason: reasonSchema });

/**
 * Proves a list of routes: their shape, then their values, then that no two have one id.
 * @returns the routes, their ids in normal form, or every fault that was found, in the list's order
 */
export function readRoutes(list: readonly unknown[]): { routes: Route[] } | { faults: Fault[] } {
  const faults: Fault[] = [];
  const routes: Route[] = [];
  const places = new Map<string, number>();
  const targets = new Map<string, Target>();
  for (const [index, item] of list.entries()) {
    const read = readRoute(item, index, targets);
    const first = 'faults' in read ? undefined : places.get(read.id);
    if ('faults' in read) faults.push(...read.faults);
    else if (first !== undefined) faults.push(duplicate(item as Route, read.id, index, first));
    else {
      places.set(read.id, index);
      routes.push(read);
    }
  }
  return faults.length > 0 ? { faults } : { routes };
}

/** The server reads nobody's files, and an embedder's functions are not here. */
const sourceless =
  'handler.source is missing; expected the text of an ES module: oo route save and oo apply read it from handler.file, over the API send it';

function readRoute(item: unknown, index: number, targets: Map<string, Target>): Route | { faults: Fault[] } {
  const shaped = v.safeParse(routeSchema, item);
  if (!shaped.success) return { faults: shapeFaults(item, shaped.issues, index) };
  const compiled = compileRoute(shaped.output, index, targets);
  if (!Array.isArray(compiled) && compiled.options?.handler?.source === '')
    return { faults: [{ index, id: compiled.id, field: 'handler', message: sourceless }] };
  if (!Array.isArray(compiled)) return { ...shaped.output, id: compiled.id };
  const { id, target } = shaped.output;
  if (target !== undefined) return { faults: compiled };
  const missing = { index, id, field: 'target', message: `target is missing; expected ${expected.target}` };
  return { faults: compiled.map((fault) => (fault.field === 'target' ? missing : fault)) };
}

/** The fields of a definition that say how its service is forwarded to. Its other fields are anybody's. */
export const serviceFields = [
  ...(['target', 'hostHeader', 'insecureSkipVerify', 'maxBodyBytes'] as const),
  ...(['connectTimeoutMs', 'responseTimeoutMs', 'idleTimeoutMs'] as const),
  ...poolOptionNames,
] satisfies (keyof ServiceOptions)[];

/**
 * Proves a definition's options.
 * @param slug its id
 * @param definition a mapping; fields that are none of `serviceFields` are passed over
 * @returns the options alone, without those that are undefined, or every fault that was found
 */
export function readServiceOptions(
  slug: string,
  definition: object,
): { options: ServiceOptions } | { faults: Fault[] } {
  const given = definition as Record<string, unknown>;
  const fields = serviceFields.filter((field) => Object.hasOwn(given, field) && given[field] !== undefined);
  const options = Object.fromEntries(fields.map((field) => [field, given[field]])) as ServiceOptions;
  const faults = serviceFaults(slug, options);
  return faults.length > 0 ? { faults: faults.map(({ index: _, ...fault }) => fault) } : { options };
}

function duplicate(route: Route, normal: string, index: number, first: number): Fault {
  const same = normal === route.id ? '' : ` (${normal})`;
  const message = `id '${short(route.id)}'${same} is that of route ${first + 1} of the list too; expected each id once`;
  return { index, id: route.id, field: 'id', first, message };
}

/** A route's id in normal form, or undefined if it is none. */
export function normalId(id: string): string | undefined {
  const parsed = parseRouteId(id);
  return typeof parsed === 'string' ? undefined : formatRouteId(parsed);
}

function shapeFaults(item: unknown, issues: readonly v.BaseIssue<unknown>[], index: number): Fault[] {
  if (!isMapping(item)) return [{ index, message: `a route is ${show(item)}; expected a mapping with id and target` }];
  const id = typeof item.id === 'string' ? item.id : undefined;
  return issues.map((issue) => {
    const field = String(issue.path?.[0]?.key);
    return { index, id, field, message: fieldMessage(field, item) };
  });
}

function fieldMessage(field: string, item: Record<string, unknown>): string {
  if (!Object.hasOwn(expected, field)) return unknownField(field);
  const words = expected[field as keyof Route];
  return Object.hasOwn(item, field)
    ? `${field} is ${show(item[field])}; expected ${words}`
    : `${field} is missing; expected ${words}`;
}

/** There are too many to name them all. */
function unknownField(field: string): string {
  const near = nearest(field, routeFields);
  const next = near === undefined ? 'oo schema and docs/options.md have those that there are' : `did you mean ${near}?`;
  return `unknown field '${short(field)}'; ${next}`;
}
