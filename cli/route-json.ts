import type { Parsed, Source } from './route-files.ts';

/**
 * JSON, by the engine's own parser: fifty times as fast as by YAML's, which only a fault's line is asked of.
 * @returns undefined where that parser can't be trusted with it: YAML's then finds the fault, with its line
 */
export function parseJson(source: Source): Parsed | undefined {
  if (!/^\s*[[{]/.test(source.text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(source.text);
  } catch {
    return undefined;
  }
  // It keeps the last of two equal keys, without a word.
  if (keysWritten(source.text) !== keysOf(value)) return undefined;
  let located: Promise<Parsed> | undefined;
  const line = async (index: number, field?: string) => {
    located ??= import('./route-yaml.ts').then(({ parseYaml }) => parseYaml(source));
    return (await located).items[index]?.line(field) ?? 1;
  };
  const values = Array.isArray(value) ? value : [value];
  const items = values.map((one, i) => ({ source: source.name, value: one, line: (field?: string) => line(i, field) }));
  return { items, faults: [] };
}

function keysWritten(text: string): number {
  let keys = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) if (match[1] !== undefined) keys += 1;
  return keys;
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value).reduce((sum: number, one) => sum + keysOf(one), 0);
  return Array.isArray(value) ? inner : inner + Object.keys(value).length;
}
