/** Is told of a fault: one sentence, that names the option, says what it is and what was expected. */
export type Say = (message: string) => void;

/** What a value must be. */
export interface Kind {
  readonly expected: string;
  readonly is: (value: unknown) => boolean;
}

export function whole(least: number, most: number): Kind {
  return {
    expected: `a whole number from ${least} to ${most}`,
    is: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  };
}

/** Timers take 32 signed bits, so no time is longer than three weeks; these are shorter. */
export function time(least: number, most: number): Kind {
  return { ...whole(least, most), expected: `whole milliseconds from ${least} to ${most}` };
}

export function between(least: number, most: number): Kind {
  return {
    expected: `a number from ${least} to ${most}`,
    is: (value) => typeof value === 'number' && value >= least && value <= most,
  };
}

export const share = between(0, 1);
export const anyText: Kind = { expected: 'a text', is: (value) => typeof value === 'string' };
export const anyNumber: Kind = { expected: 'a number', is: (value) => typeof value === 'number' };

export function oneOf(words: readonly string[]): Kind {
  const expected = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  return { expected, is: (value) => words.includes(value as string) };
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Proves a mapping field by field. Fields that are undefined count as left out.
 * @param where what it is called in messages, `balance`
 * @returns the fields that are as they must be, so that what goes on with them never throws
 */
export function proven<F extends Readonly<Record<string, Kind>>>(
  value: Readonly<Record<string, unknown>>,
  where: string,
  fields: F,
  say: Say,
): { [field in keyof F]?: unknown } {
  const good: { [field in keyof F]?: unknown } = {};
  for (const [field, one] of Object.entries(value)) {
    if (one === undefined) continue;
    if (!Object.hasOwn(fields, field))
      say(`unknown field '${where}.${shorten(field)}'; expected one of ${Object.keys(fields).join(', ')}`);
    else if (fields[field].is(one)) good[field as keyof F] = one;
    else say(`${where}.${field} is ${show(one)}; expected ${fields[field].expected}`);
  }
  return good;
}

/** A value as a message quotes it. */
export function show(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  return `'${shorten(value)}'`;
}

/** What a message quotes: one line, not too long. */
export function shorten(value: unknown): string {
  // A mapping may have a toString of its own, which is no function.
  const isObject = typeof value === 'object' && value !== null;
  const text = isObject ? show(value) : String(value).replace(/\p{C}/gu, '?');
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** More kinds of settings than this are rare, and cost memory, not sense. */
const mostShared = 1_000;

/** The value that was known by this key before, or else this one from now on: 100,000 routes with equal options have one object. */
export function shared<T>(known: Map<string, T>, key: string, value: T): T {
  const before = known.get(key);
  if (before !== undefined) return before;
  if (known.size >= mostShared) known.clear();
  known.set(key, value);
  return value;
}
