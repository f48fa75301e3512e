/** A value as an error names it. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/**
 * Proves that this is a plain mapping, and has no other names than these: a misspelled one would be one that is not there.
 * @param names undefined: any
 * @throws TypeError
 */
export function proveMapping(what: string, value: unknown, expected: string, names?: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${what} is ${show(value)}; expected ${expected}`);
  for (const name of Object.keys(value))
    if (names !== undefined && !names.includes(name))
      throw new TypeError(`${what} has no '${name}'; it has ${names.join(', ')}`);
}

/** @throws TypeError */
export function proveFunction(what: string, value: unknown, expected: string): void {
  if (typeof value !== 'function') throw new TypeError(`${what} is ${show(value)}; expected ${expected}`);
}

/** @throws TypeError */
export function proveList(what: string, value: unknown, expected: string): void {
  if (!Array.isArray(value)) throw new TypeError(`${what} is ${show(value)}; expected ${expected}`);
}

/** @throws TypeError */
export function proveText(what: string, value: unknown, expected: string): void {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${what} is ${show(value)}; expected ${expected}`);
}

/** @throws TypeError */
export function proveOneOf(what: string, value: unknown, of: readonly unknown[]): void {
  if (!of.includes(value)) throw new TypeError(`${what} is ${show(value)}; expected ${of.map(show).join(' or ')}`);
}
