/** Why an input was refused. `index` (from 0) and `id` say which route of a list, `field` which of its fields. */
export interface Fault {
  readonly index?: number;
  /** The place of the route that has the same id. */
  readonly first?: number;
  readonly id?: string;
  readonly field?: string;
  readonly message: string;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as a message quotes it. */
export function show(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? `'${short(value)}'` : short(String(value));
}

/** What a message quotes: one line, not too long. */
export function short(text: string): string {
  const line = text.replace(/\p{C}/gu, '?');
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}
