import type { CompressOptions } from './option-types.ts';
import { isMapping, type Kind, proven, type Say, show, whole } from './pool-proof.ts';

/** The content codings that bodies are encoded with, in the order that is liked best. */
export const compressCodings = ['zstd', 'br', 'gzip'] as const;
export type Coding = (typeof compressCodings)[number];

export interface CompiledCompress {
  /** In the order that is liked best. */
  readonly codings: readonly Coding[];
  readonly minBytes: number;
  /** Media types in lower case, and families such as `text/*`; null for the default. */
  readonly types: ReadonlySet<string> | null;
}

const defaultMinBytes = 1_024;
const maxTypes = 1_000;
const typeForm = /^[a-z0-9][a-z0-9!#$&^_.+-]*\/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]*)$/i;

const byDefault: CompiledCompress = Object.freeze({ codings: compressCodings, minBytes: defaultMinBytes, types: null });

const fields = {
  codings: {
    expected: 'a list of zstd, br and gzip, each once',
    is: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      new Set(value).size === value.length &&
      value.every((coding) => compressCodings.includes(coding)),
  },
  minBytes: whole(0, 2 ** 31 - 1),
  types: {
    expected: `a list of 1 to ${maxTypes} media types such as application/json or text/*`,
    is: (value) => Array.isArray(value) && value.length > 0 && value.length <= maxTypes,
  },
} satisfies Record<keyof CompressOptions, Kind>;

/**
 * Proves an option's `compress`. Never throws.
 * @param value anything
 * @returns null where nothing is to be encoded, or it is wrong
 */
export function compileCompress(value: unknown, say: Say): CompiledCompress | null {
  if (value === undefined || value === false) return null;
  if (value === true) return byDefault;
  if (!isMapping(value)) {
    say(`compress is ${show(value)}; expected true, false, or a mapping with codings, minBytes, types`);
    return null;
  }
  const { codings, minBytes, types } = proven(value, 'compress', fields, say);
  return Object.freeze({
    codings: Object.freeze([...((codings as Coding[] | undefined) ?? compressCodings)]),
    minBytes: (minBytes as number | undefined) ?? defaultMinBytes,
    types: types === undefined ? null : compileTypes(types as unknown[], say),
  });
}

function compileTypes(list: readonly unknown[], say: Say): ReadonlySet<string> {
  const types = new Set<string>();
  for (const [index, type] of list.entries()) {
    const where = `compress.types[${index}]`;
    if (typeof type !== 'string' || type.length > 127 || !typeForm.test(type))
      say(`${where} is ${show(type)}; expected a media type such as application/json or text/*`);
    else if (isNever(type.toLowerCase()))
      say(`${where} is '${type}', which is never encoded: its parts must arrive as sent`);
    else types.add(type.toLowerCase());
  }
  return types;
}

// ---- what the client takes

/**
 * Which coding a client gets (RFC 9110 §12.5.3): of those that it likes best the first of ours.
 * @param accepted its Accept-Encoding, several lines joined with commas; '' for none: without that nobody expects a coding
 * @returns null: none, or it likes the body as it is better
 */
export function pickCoding(accepted: string, codings: readonly Coding[]): Coding | null {
  if (accepted === '') return null;
  const weights = readWeights(accepted);
  const rest = weights.get('*') ?? 0;
  let best: Coding | null = null;
  let most = 0;
  for (const coding of codings) {
    const weight = weights.get(coding) ?? rest;
    if (weight > most) {
      best = coding;
      most = weight;
    }
  }
  // Identity is always taken, but liked least where nothing is said of it.
  return most >= (weights.get('identity') ?? 0) ? best : null;
}

const weightForm = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** What is malformed counts as not taken. */
function readWeights(accepted: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const entry of accepted.toLowerCase().split(',')) {
    const [name, ...parameters] = entry.split(';');
    // RFC 9110 §8.4.1.3: the same.
    const coding = name.trim() === 'x-gzip' ? 'gzip' : name.trim();
    let weight = 1;
    for (const parameter of parameters) {
      const [key, value = ''] = parameter.split('=');
      if (key.trim() !== 'q') continue;
      weight = weightForm.test(value.trim()) ? Number(value) : 0;
    }
    weights.set(coding, weight);
  }
  return weights;
}

// ---- which responses

/** What of a response's head decides whether its body is encoded. Values as sent, '' for none. */
export interface CompressFacts {
  readonly status: number;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly cacheControl: string;
  /** -1 where it does not say. */
  readonly contentLength: number;
}

/**
 * Whether a response's body is encoded for clients that take it. Such a response says `Vary: Accept-Encoding` to all.
 * What has an encoding has it by its upstream's will, and a 206's bytes are numbered.
 */
export function isCompressible(options: CompiledCompress, facts: CompressFacts): boolean {
  const { status, contentType, contentEncoding, cacheControl, contentLength } = facts;
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false;
  if (contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity') return false;
  if (contentLength === 0 || (contentLength > 0 && contentLength < options.minBytes)) return false;
  return isCompressedType(options, contentType) && !isTransformRefused(cacheControl);
}

/** @param contentType as sent, with its parameters */
export function isCompressedType({ types }: CompiledCompress, contentType: string): boolean {
  const end = contentType.indexOf(';');
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  const slash = type.indexOf('/');
  if (slash < 1 || isNever(type)) return false;
  if (types !== null) return types.has(type) || types.has(`${type.slice(0, slash)}/*`);
  return type.startsWith('text/') || /\+(?:json|xml|text|yaml)$/.test(type) || textual.has(type);
}

/** Text in truth, or as good as that. */
const textual: ReadonlySet<string> = new Set([
  ...['json', 'javascript', 'x-javascript', 'ecmascript', 'xml', 'xml-dtd', 'wasm', 'manifest', 'graphql', 'sql'].map(
    (name) => `application/${name}`,
  ),
  ...['x-ndjson', 'ndjson', 'jsonl', 'json-lines', 'json-seq', 'yaml', 'x-yaml', 'toml', 'rtf', 'x-sh'].map(
    (name) => `application/${name}`,
  ),
  ...['application/x-web-app-manifest+json', 'application/vnd.ms-fontobject', 'application/x-font-ttf'],
  ...['font/ttf', 'font/otf', 'font/collection', 'image/bmp', 'image/x-icon', 'image/vnd.microsoft.icon'],
]);

/**
 * Streams of messages: their readers want each at once, and as it was sent. gRPC and Connect compress messages by themselves.
 * @param type in lower case, without parameters
 */
function isNever(type: string): boolean {
  return (
    type === 'text/event-stream' ||
    type.startsWith('multipart/') ||
    type.startsWith('application/grpc') ||
    type.startsWith('application/connect+')
  );
}

/** RFC 9111 §5.2.2.6: nobody on the way may change the body. */
export function isTransformRefused(cacheControl: string): boolean {
  return cacheControl !== '' && /(?:^|,)\s*no-transform\s*(?:,|$)/i.test(cacheControl);
}

// ---- what becomes of its fields

/**
 * Fields, in lower case, that say of the body what is no longer true once it is encoded: its length, digests of it, and that parts of it
 * can be asked for by their place.
 */
export const encodedDrops: ReadonlySet<string> = new Set([
  ...['content-length', 'content-encoding', 'accept-ranges'],
  ...['content-md5', 'digest', 'content-digest', 'repr-digest'],
]);

/** An entity tag as an encoded body has it: its bytes are not the same, what it says is (RFC 9110 §8.8.1). @param tag ETag's value */
export function weakTag(tag: string): string {
  return tag.startsWith('"') ? `W/${tag}` : tag;
}

/** Whether caches are already told that the response hangs on Accept-Encoding. @param vary Vary's value, '' for none */
export function variesByEncoding(vary: string): boolean {
  return /(?:^|,)\s*(?:accept-encoding|\*)\s*(?:,|$)/i.test(vary);
}
