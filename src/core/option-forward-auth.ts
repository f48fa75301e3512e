import { isFieldName, isForwarding, isFraming } from './option-field.ts';
import { isMapping, type Kind, proven, type Say, show, time } from './pool-proof.ts';
import { parseTarget } from './target.ts';

export interface CompiledForwardAuth {
  readonly url: string;
  /** In lower case: Cookie, Authorization, Accept, and those that the route names. */
  readonly sends: readonly string[];
  /** In lower case. */
  readonly copies: readonly string[];
  readonly timeoutMs: number;
}

export const defaultForwardAuthTimeoutMs = 10_000;
const always = ['cookie', 'authorization', 'accept'];
const maxNames = 50;

/** Fields of a route's own choice, which are neither of a connection nor said by oo itself. */
function isFree(value: unknown): boolean {
  return isFieldName(value) && !isFraming(value) && !isForwarding(value);
}

const names: Kind = {
  expected: `a list of up to ${maxNames} names of fields, none of which frames a message or is set by oo itself`,
  is: (value) => Array.isArray(value) && value.length <= maxNames && value.every(isFree),
};
const url: Kind = {
  expected: 'such as http://127.0.0.1:9091/verify',
  is: (value) => typeof value === 'string' && value.length <= 2_048 && isAddress(value),
};
const fields = { url, sendHeaders: names, copyHeaders: names, timeoutMs: time(1, 60_000) };

/** A target's address, with or without a query. */
function isAddress(text: string): boolean {
  const [address, query = ''] = text.split('?', 2);
  if (!/^https?:\/\//i.test(address) || !/^[\u0021\u0023-\u007e]*$/.test(query)) return false;
  return typeof parseTarget(address) !== 'string' && !text.includes('#') && URL.canParse(text);
}

/** Proves an option's `forwardAuth`. @param value anything */
export function compileForwardAuth(value: unknown, say: Say): CompiledForwardAuth | null {
  const given = typeof value === 'string' ? { url: value } : value;
  if (!isMapping(given)) {
    say(`forwardAuth is ${show(value)}; expected a URL, or a mapping with url`);
    return null;
  }
  if (given.url === undefined) say(`forwardAuth.url is missing; expected ${url.expected}`);
  const good = proven(given, 'forwardAuth', fields, say);
  if (good.url === undefined) return null;
  return Object.freeze({
    url: new URL(good.url as string).href,
    sends: Object.freeze([...new Set([...always, ...lower(good.sendHeaders)])]),
    copies: Object.freeze([...new Set(lower(good.copyHeaders))]),
    timeoutMs: (good.timeoutMs ?? defaultForwardAuthTimeoutMs) as number,
  });
}

function lower(list: unknown): string[] {
  return ((list ?? []) as string[]).map((name) => name.toLowerCase());
}
