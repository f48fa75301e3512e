import { usageError } from './failure.ts';

const formats = ['table', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];

/**
 * The format that `-o` and `-q` ask for.
 * @throws CliError, exit code 2
 */
export function formatOf(options: { output?: unknown; quiet?: unknown }, fallback: Format): Format {
  const { output, quiet } = options;
  if (output === undefined) return quiet ? 'name' : fallback;
  if (quiet) throw usageError('-o and -q are given both.', '-q means -o name: leave one out.');
  if (formats.includes(output as Format)) return output as Format;
  throw usageError(`-o is '${String(output)}'; expected one of ${formats.join(', ')}.`);
}

/**
 * A text from elsewhere (a CA, a certificate, a DNS record) as one line that does nothing to a terminal: control and format
 * characters, which may move its cursor or turn the direction of writing, become `?`.
 */
export function printable(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(hidden, '?');
}

const hidden = /[\p{C}\u2028\u2029]/gu;

/** A text with its full stop. */
export function sentence(text: string): string {
  return text === '' || /[.!?:…]$/.test(text) ? text : `${text}.`;
}

/** Columns, three spaces apart, with their heads; plain text in a pipe as on a terminal. Cells are printable and, but for rare ones, ASCII. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => rows.reduce((width, row) => Math.max(width, row[i].length), head.length));
  const line = (cells: readonly string[]) =>
    `${cells
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('   ')
      .trimEnd()}\n`;
  return [heads, ...rows].map(line).join('');
}

/** Machine-readable forms of any value. Characters that would do something to a terminal are written as escapes. */
export async function structured(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  const json = `${JSON.stringify(value, undefined, 2)}\n`;
  const safe = json.replace(/[^\n\P{C}]|[\u2028\u2029]/gu, escaped);
  // JSON is YAML, whose plain texts have no escapes.
  if (format === 'json' || safe !== json) return safe;
  const { stringify } = await import('yaml');
  // A handler's text keeps its lines.
  return stringify(value, { blockQuote: 'literal' });
}

/** `\u009b`; of those beyond the first plane the two halves. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** More lines than this, of one kind, help nobody. */
const maxLines = 100;

/** What was done, one line each: `created app.example.com`. */
export function wordLines(word: string, ids: readonly string[]): string {
  const shown = ids.slice(0, maxLines).map((id) => `${word} ${id}\n`);
  if (ids.length > maxLines) shown.push(`${word} ${ids.length - maxLines} more\n`);
  return shown.join('');
}

/** How long ago, in its largest unit: `8s ago`, `3m ago`, `2h ago`, `5d ago`. @param now epoch ms */
export function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(iso)) / 1_000));
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ago`;
  return `${Math.floor(seconds / 86_400)}d ago`;
}

/** `2025-08-09`, UTC. @param iso '' and undefined stay blank */
export function day(iso: string | undefined): string {
  return iso ? new Date(iso).toISOString().slice(0, 10) : '';
}

/** `2025-08-09 14:22:44`, UTC. */
export function second(iso: string | undefined): string {
  return iso ? new Date(iso).toISOString().slice(0, 19).replace('T', ' ') : '';
}

/** `2025-08-09 14:22 UTC`. */
export function minute(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

const spans = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const;

/** A length of time in the largest unit that it has two of: `61 days`, `90 minutes`, `3 seconds`. */
export function span(ms: number): string {
  const length = Math.abs(ms);
  const [unit, size] = spans.find(([, size]) => length >= 2 * size) ?? ['second', 1_000];
  const count = Math.floor(length / size);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
