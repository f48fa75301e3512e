import { isFieldName } from './option-field.ts';
import { isMapping, type Kind, proven, type Say, show, whole } from './pool-proof.ts';

/** Which other sites' pages may call a route. */
export interface CompiledCors {
  /** Any origin. */
  readonly any: boolean;
  /** In the form that browsers send. */
  readonly origins: ReadonlySet<string>;
  /** What stands before and behind the `*` of `https://*.example.com`. */
  readonly wildcards: readonly (readonly [before: string, after: string])[];
  /** Joined with ', '. */
  readonly methods: string;
  /** Likewise; null for those that are asked for. */
  readonly headers: string | null;
  /** Likewise; '' for none. */
  readonly exposeHeaders: string;
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
}

/** A field of an answer. */
export type Field = readonly [name: string, value: string];

const defaultMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const defaultMaxAgeSeconds = 600;
const maxItems = 200;
const maxOriginLength = 300;
/** Origins as browsers write them (RFC 6454 §6.2): lower case, no path; ports that are the scheme's own are left out. */
const originForm =
  /^[a-z][a-z0-9+.-]*:\/\/(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;
const labelsForm = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const askedForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;
const maxAskedLength = 2_048;

const booleans: Kind = { expected: 'true or false', is: (value) => typeof value === 'boolean' };
const listOf = (what: string, is: (item: unknown) => boolean): Kind => ({
  expected: `a list of 1 to ${maxItems} ${what}`,
  is: (value) => Array.isArray(value) && value.length > 0 && value.length <= maxItems && value.every(is),
});

const fields = {
  origins: listOf("origins such as https://app.example.com or https://*.example.com, or '*'", isOrigin),
  methods: listOf('methods such as GET', isFieldName),
  headers: listOf('names of fields', isFieldName),
  exposeHeaders: listOf('names of fields', isFieldName),
  credentials: booleans,
  maxAgeSeconds: whole(0, 86_400),
};

function isOrigin(value: unknown): boolean {
  if (value === '*') return true;
  return typeof value === 'string' && value.length <= maxOriginLength && originForm.test(normal(value));
}

/** A port that is the scheme's own is not sent. */
function normal(origin: string): string {
  const lower = origin.toLowerCase();
  return lower.replace(/^(https:.*):443$/, '$1').replace(/^(http:.*):80$/, '$1');
}

/** Proves an option's `cors`. @param value anything; false is none */
export function compileCors(value: unknown, say: Say): CompiledCors | null {
  if (value === false) return null;
  const given = value === true ? {} : value;
  if (!isMapping(given)) {
    say(`cors is ${show(value)}; expected true, false, or a mapping with origins`);
    return null;
  }
  const good = proven(given, 'cors', fields, say);
  const origins = ((good.origins ?? ['*']) as string[]).map(normal);
  const any = origins.includes('*');
  const credentials = good.credentials === true;
  // With it any site could act as whoever is signed in; browsers refuse it as well.
  if (any && credentials) say("cors.credentials is true for any origin; expected cors.origins without '*'");
  const wild = origins.filter((origin) => origin !== '*' && origin.includes('*'));
  return Object.freeze({
    any,
    origins: new Set(origins.filter((origin) => !origin.includes('*'))),
    wildcards: Object.freeze(wild.map((origin) => Object.freeze(origin.split('*') as [string, string]))),
    methods: ((good.methods ?? defaultMethods) as string[]).join(', '),
    headers: (good.headers as string[] | undefined)?.join(', ') ?? null,
    exposeHeaders: ((good.exposeHeaders ?? []) as string[]).join(', '),
    credentials,
    maxAgeSeconds: (good.maxAgeSeconds ?? defaultMaxAgeSeconds) as number,
  });
}

/**
 * What Access-Control-Allow-Origin says to a page of `origin`.
 * @param origin the request's Origin as sent; '' if it has none
 * @returns undefined if the page may not read the answer
 */
export function allowedOrigin({ any, origins, wildcards }: CompiledCors, origin: string): string | undefined {
  if (any) return '*';
  if (origin === '' || origin.length > maxOriginLength) return undefined;
  if (origins.has(origin)) return origin;
  const fits = ([before, after]: readonly [string, string]) =>
    origin.length > before.length + after.length &&
    origin.startsWith(before) &&
    origin.endsWith(after) &&
    labelsForm.test(origin.slice(before.length, origin.length - after.length));
  return wildcards.some(fits) ? origin : undefined;
}

/**
 * The fields of an answer to a page's own request; an upstream's fields of these names are to go, but for Vary, to which ours is added.
 * @param origin the request's Origin as sent; '' if it has none
 */
export function corsFields(cors: CompiledCors, origin: string): Field[] {
  const allowed = allowedOrigin(cors, origin);
  // Where the answer depends on who asks, caches have to know it, also where nobody is named.
  const vary: Field[] = cors.any ? [] : [['Vary', 'Origin']];
  if (allowed === undefined || (origin === '' && !cors.any)) return vary;
  const fields: Field[] = [['Access-Control-Allow-Origin', allowed]];
  if (cors.credentials) fields.push(['Access-Control-Allow-Credentials', 'true']);
  if (cors.exposeHeaders !== '') fields.push(['Access-Control-Expose-Headers', cors.exposeHeaders]);
  return [...fields, ...vary];
}

/**
 * The fields of the answer to a preflight, which is always 204: browsers look at the fields alone.
 * @param origin the request's Origin
 * @param headers its Access-Control-Request-Headers; '' if it has none
 */
export function preflightFields(cors: CompiledCors, origin: string, headers: string): Field[] {
  const vary: Field = ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'];
  const allowed = allowedOrigin(cors, origin);
  if (allowed === undefined) return [vary];
  const fields: Field[] = [
    ['Access-Control-Allow-Origin', allowed],
    ['Access-Control-Allow-Methods', cors.methods],
    ['Access-Control-Max-Age', String(cors.maxAgeSeconds)],
  ];
  const asked = headers.length <= maxAskedLength && askedForm.test(headers) ? headers : '';
  const may = cors.headers ?? asked;
  if (may !== '') fields.push(['Access-Control-Allow-Headers', may]);
  if (cors.credentials) fields.push(['Access-Control-Allow-Credentials', 'true']);
  return [...fields, vary];
}
