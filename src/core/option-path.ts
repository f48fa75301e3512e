import type { OptionFault } from './option-compile.ts';
import { ambiguity, otherReadings } from './path.ts';
import { show } from './pool-proof.ts';

/** What becomes of the path on its way to the upstream: `strip` is taken off, then `add` put before it. '' for neither. */
export interface PathRewrite {
  readonly strip: string;
  readonly add: string;
}

/** The target that the upstream gets, and what was taken off it: X-Forwarded-Prefix tells the upstream. */
export interface RewrittenTarget {
  readonly target: string;
  readonly stripped: string;
}

/**
 * Proves `stripPrefix` and `addPrefix`.
 * @param prefix the route's own, '' for the whole host
 * @returns null if the path stays as it is
 */
export function compilePath(
  stripPrefix: unknown,
  addPrefix: unknown,
  prefix: string,
  fault: OptionFault,
): PathRewrite | null {
  const strip = stripOf(stripPrefix, prefix, fault);
  const add = addOf(addPrefix, fault);
  return strip === '' && add === '' ? null : Object.freeze({ strip, add });
}

function stripOf(value: unknown, prefix: string, fault: OptionFault): string {
  if (value === undefined || value === false) return '';
  if (value === true) {
    if (prefix === '')
      fault('stripPrefix', "stripPrefix is true, but the route's id has no path; name one, such as /api");
    return prefix;
  }
  const text = trimmed(value);
  // A prefix is compared with what the client sends, so it has one spelling only.
  if (text !== undefined && ambiguity(text) === 'none') return text;
  fault('stripPrefix', `stripPrefix is ${show(value)}; expected true, or a plain path such as /api, without escapes`);
  return '';
}

function addOf(value: unknown, fault: OptionFault): string {
  if (value === undefined) return '';
  const text = trimmed(value);
  if (text !== undefined && !/\/\/|;|%(?:2f|5c|3b)/i.test(text) && ambiguity(text) !== 'refused') return text;
  fault('addPrefix', `addPrefix is ${show(value)}; expected a plain path such as /v2`);
  return '';
}

/** A path without the slash at its end; undefined if it is none. */
function trimmed(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^\/[^?#]*[^/?#]\/?$/.test(value)) return undefined;
  return value.endsWith('/') ? value.slice(0, -1) : value;
}

/**
 * The path and query that the upstream gets for those of a request. Escapes stay as they are.
 * A path that is not under `strip` keeps it: a route may take others as well. `strip` alone makes `/`.
 * @param target path and query as sent; the path policy has let it in. It starts with a slash
 * @returns undefined where it can't be told what is to be taken off: one reading of the path is under `strip` and another is not, or what
 *   would be left starts with two slashes, which is how a host is written; OO_BAD_PATH
 */
export function rewriteTarget({ strip, add }: PathRewrite, target: string): RewrittenTarget | undefined {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const isStripped = strip !== '' && isUnder(path, strip);
  if (strip !== '' && ambiguity(path) === 'several') {
    for (const reading of otherReadings(path)) if (isUnder(reading, strip) !== isStripped) return undefined;
  }
  const left = add + (isStripped ? path.slice(strip.length) : path);
  // Nobody has asked for that: without the strip it would not start so. Escaped slashes are such to many an upstream.
  if (isStripped && /^\/(?:\/|%2f|%5c)/i.test(left)) return undefined;
  return { target: (left === '' ? '/' : left) + target.slice(path.length), stripped: isStripped ? strip : '' };
}

function isUnder(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/** One line for people: what becomes of the path. */
export function describePath({ strip, add }: PathRewrite): string {
  const words = [strip === '' ? '' : `${strip} is taken off the path`, add === '' ? '' : `${add} is put before it`];
  return words.filter(Boolean).join(', then ');
}
