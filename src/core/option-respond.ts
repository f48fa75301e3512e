import type { Field } from './option-cors.ts';
import { fieldValue, isFieldName, isFraming } from './option-field.ts';
import { isMapping, type Kind, proven, type Say, shorten, show, whole } from './pool-proof.ts';

export interface CompiledRespond {
  readonly status: number;
  /** Content-Type, if there is a body, and the route's own. */
  readonly fields: readonly Field[];
  /** Null where the status has none. */
  readonly body: string | null;
}

const defaultContentType = 'text/plain; charset=utf-8';
const maxBody = 1_048_576;
const maxHeaders = 50;
/** RFC 9110 §6.4.1: these have no content. */
const bodiless = [204, 205, 304];

const body: Kind = {
  expected: `a text of up to ${maxBody} characters`,
  is: (value) => typeof value === 'string' && value.length <= maxBody,
};
const headers: Kind = {
  expected: `a mapping of up to ${maxHeaders} names to values`,
  is: (value) => isMapping(value) && Object.keys(value).length <= maxHeaders,
};
const fields = { status: whole(200, 599), body, contentType: fieldValue, headers };

/** Proves an option's `respond`. @param value anything */
export function compileRespond(value: unknown, say: Say): CompiledRespond | null {
  const given = typeof value === 'string' ? { body: value } : value;
  if (!isMapping(given)) {
    say(`respond is ${show(value)}; expected a text, or a mapping with status, body, contentType and headers`);
    return null;
  }
  const good = proven(given, 'respond', fields, say);
  const status = (good.status ?? 200) as number;
  const text = (good.body ?? '') as string;
  const hasNone = bodiless.includes(status);
  if (hasNone && text !== '') say(`respond.body is given with the status ${status}; expected none, which has no body`);
  const own = compileHeaders((good.headers ?? {}) as Record<string, unknown>, say);
  const says = own.some(([name]) => name.toLowerCase() === 'content-type');
  if (says && good.contentType !== undefined)
    say('respond.headers has Content-Type, and so has respond.contentType; expected one of them');
  const type: Field[] = hasNone || says ? [] : [['Content-Type', (good.contentType ?? defaultContentType) as string]];
  return Object.freeze({ status, fields: Object.freeze([...type, ...own]), body: hasNone ? null : text });
}

function compileHeaders(given: Readonly<Record<string, unknown>>, say: Say): Field[] {
  const good: Field[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!isFieldName(name)) say(`respond.headers has the name '${shorten(name)}'; expected a field's such as X-Answer`);
    else if (isFraming(name)) say(`respond.headers has ${name}, which is the server's to say; expected it left out`);
    else if (!fieldValue.is(value)) say(`respond.headers.${name} is ${show(value)}; expected ${fieldValue.expected}`);
    else good.push([name, value as string]);
  }
  return good;
}
