import type { Fault } from './fault.ts';

/**
 * Where in the body a fault is: a JSON pointer (RFC 6901).
 * @param base of the list or thing that the fault is in, such as `/routes`
 * @param item what the fault is of, to tell a name with dots from a path; undefined: unknown
 */
export function pointerOf(fault: Fault, base: string, item?: unknown): string {
  const place = fault.index === undefined ? base : `${base}/${fault.index}`;
  if (fault.field === undefined) return place;
  return place + steps(fieldPath(fault.field, fault.message), item).map(token).join('');
}

/** The pointer of a path of keys. */
export function pointerTo(keys: readonly (string | number)[]): string {
  return keys.map((key) => token(String(key))).join('');
}

/** RFC 6901 §3. */
function token(key: string): string {
  return `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Messages begin with the whole path of what is wrong, `balance.policy is …`: faults themselves only name the field. */
function fieldPath(field: string, message: string): string {
  const [, unknown] = /^unknown field '(.*?)'[;,]/.exec(message) ?? [];
  // `target[0].weight, of http://b, is …`, `access.allow[2]: …`, `basicAuth.users['ann'] …`.
  const [named] = /^(?:[^\s,:'[\]]|\[\d+\])+/.exec(message) ?? [];
  const path = unknown ?? named ?? field;
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`) ? path : field;
}

/** `target[0].weight` in parts. A key may have dots itself: the longest one that is there counts. */
function steps(path: string, item: unknown): string[] {
  const found: string[] = [];
  let rest = path;
  let value = item;
  while (rest !== '') {
    const place = /^\[(\d+)\]\.?/.exec(rest);
    const key = place?.[1] ?? keyOf(rest, value);
    found.push(key);
    rest = place ? rest.slice(place[0].length) : rest.slice(key.length).replace(/^\./, '');
    value = isObject(value) && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    if (key === '') break;
  }
  return found;
}

function keyOf(rest: string, value: unknown): string {
  const own = isObject(value)
    ? Object.keys(value).filter((key) => rest === key || (/^[.[]/.test(rest.slice(key.length)) && rest.startsWith(key)))
    : [];
  const longest = own.sort((a, b) => b.length - a.length)[0];
  return longest || (/^[^.[]*/.exec(rest)?.[0] ?? rest);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
