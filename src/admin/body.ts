import type { Context } from 'hono';
import type * as v from 'valibot';
import { pointerOf } from './pointer.ts';
import { type ApiError, type PlacedFault, refuse } from './reply.ts';
import { type Fault, readBody } from './schema.ts';

/** Enough for well over 100,000 routes. */
export const maxBodyBytes = 64 * 1024 * 1024;

/** Enough for what is about one instance or one token. */
export const smallBodyBytes = 64 * 1024;

/** The request's body, proven. An empty one is `empty`, where that is allowed. @param limit bytes; over it: 413 */
export async function read<S extends v.GenericSchema>(
  c: Context,
  schema: S,
  empty?: unknown,
  limit = maxBodyBytes,
): Promise<v.InferOutput<S> | Response> {
  const coding = c.req.header('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding !== 'identity') {
    const hint = 'Send it as it is, without Content-Encoding.';
    return refuse(c, 415, { error: 'A body that is compressed is not taken.', code: 'OO_BODY_COMPRESSED', hint });
  }
  const text = await textOf(c, limit);
  if (text === undefined) return tooLarge(c, limit);
  let body: unknown = empty;
  if (text.trim() !== '' || empty === undefined) {
    try {
      body = JSON.parse(text);
    } catch (error) {
      return refuse(c, 400, { error: notJson(text, error as Error), code: 'OO_BAD_JSON', hint: 'Send a JSON object.' });
    }
  }
  if (isDeeper(body, mostLevels)) {
    const error = `The body has more than ${mostLevels} lists and objects inside each other.`;
    return refuse(c, 400, { error, code: 'OO_BAD_REQUEST', hint: 'Send what this call is about.' });
  }
  return prove(c, schema, body);
}

/** What is compared, stored and shown later goes down into it, and a stack has an end. */
const mostLevels = 64;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeper((value as Record<string, unknown>)[key], levels - 1)) return true;
  return false;
}

/** A body that was read, proven. */
export function prove<S extends v.GenericSchema>(c: Context, schema: S, body: unknown): v.InferOutput<S> | Response {
  const result = readBody(schema, body);
  return 'value' in result ? result.value : refuse(c, 400, refusal(result.faults, 'OO_BAD_REQUEST', ''));
}

/**
 * The body's text; undefined if it is over the limit. Hono's own limit fails on requests that say no length (`curl -X POST`,
 * chunked bodies) where Node's global Request is left alone.
 */
async function textOf(c: Context, limit: number): Promise<string | undefined> {
  const length = c.req.header('content-length');
  if (length !== undefined) return Number(length) > limit ? undefined : c.req.text();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    size += chunk.length;
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return new Blob(chunks as Uint8Array<ArrayBuffer>[]).text();
}

function tooLarge(c: Context, limit: number): Response {
  const error = `The body is over ${limit} bytes.`;
  const hint = limit === maxBodyBytes ? 'Save the routes in several parts.' : 'Send only what this call is about.';
  return refuse(c, 413, { error, code: 'OO_BODY_TOO_LARGE', hint });
}

/** The parser quotes what it was given, which may be a key. */
function notJson(text: string, error: Error): string {
  if (text.trim() === '') return 'The body is empty.';
  const secret = text.includes('PRIVATE KEY') || text.includes('"newKey"');
  return secret ? 'The body is not JSON.' : `The body is not JSON: ${error.message}.`;
}

/** More than this many faults help nobody. */
const maxFaults = 100;

/**
 * Faults as the body of a 400.
 * @param list the body's field that they are counted in, or '' where the body itself is what they are of
 * @param items what they are of, for exact pointers
 */
export function refusal(
  faults: readonly PlacedFault[],
  code: string,
  list = 'routes',
  items: readonly unknown[] = [],
): ApiError {
  const [first] = faults;
  const place = first.index === undefined ? '' : `${list}[${first.index}]: `;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  const hint = 'Nothing was stored. Mend what `faults` lists, then send all of it again.';
  const placed = (fault: PlacedFault): PlacedFault => ({ pointer: placeOf(fault, list, items), ...fault });
  return { error: `${place}${first.message}${more}`, code, hint, faults: faults.slice(0, maxFaults).map(placed) };
}

function placeOf(fault: Fault, list: string, items: readonly unknown[]): string {
  const base = fault.index === undefined || list === '' ? '' : `/${list}`;
  return pointerOf(fault, base, items[fault.index ?? 0]);
}
