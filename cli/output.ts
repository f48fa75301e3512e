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

/** Columns, three spaces apart, with their heads; plain text in a pipe as on a terminal. Cells are ASCII. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => rows.reduce((width, row) => Math.max(width, row[i].length), head.length));
  const line = (cells: readonly string[]) =>
    `${cells
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('   ')
      .trimEnd()}\n`;
  return [heads, ...rows].map(line).join('');
}

/** Machine-readable forms of any value. */
export async function structured(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  if (format === 'json') return `${JSON.stringify(value, undefined, 2)}\n`;
  const { stringify } = await import('yaml');
  return stringify(value);
}
