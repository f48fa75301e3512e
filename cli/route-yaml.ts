import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, type YAMLParseError } from 'yaml';
import { routeFields } from '../src/admin/schema.ts';
import type { Item, Parsed, Source, SourceFault } from './route-files.ts';

/** A document as a value, and where each part of it stands. */
export interface Located {
  readonly value: unknown;
  /** The line of what this path leads to, from 1; of the nearest thing above it that is there. */
  line(path?: Path): number | Promise<number>;
}

/** Keys and places, from the document down. */
export type Path = readonly (string | number)[];

/** YAML: one route, a list of routes, or several documents of either. Every fault of syntax has its line. */
export function parseYaml(source: Source): Parsed {
  const { documents, faults } = parseDocuments(source);
  const items = documents.flatMap(({ value, line }): Item[] => {
    const at = (path: Path) => (field?: string) => line(field === undefined ? path : [...path, field]);
    if (!Array.isArray(value)) return [{ source: source.name, value, line: at([]) }];
    return value.map((one, i) => ({ source: source.name, value: one, line: at([i]) }));
  });
  return { items, faults };
}

/** All documents of a source that are not empty. Every fault of syntax has its line. */
export function parseDocuments({ name, text }: Source): { documents: Located[]; faults: SourceFault[] } {
  const counter = new LineCounter();
  const found: Located[] = [];
  const faults: SourceFault[] = [];
  const fault = (line: number, message: string) => faults.push({ source: name, line, message });
  const lineAt = (offset: number) => Math.max(1, counter.linePos(offset).line);

  const documents = parseAllDocuments(text, { lineCounter: counter, prettyErrors: false });
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) {
      // What follows the first error of a document is mostly its echo.
      const line = lineAt(error.pos[0]);
      fault(line, outdented(text, line) ?? syntax(error));
      continue;
    }
    let value: unknown;
    try {
      value = document.toJS();
    } catch (cause) {
      const alias = unresolved(document.contents, text);
      fault(lineAt(alias?.offset ?? 0), alias?.message ?? `not valid YAML: ${(cause as Error).message}`);
      continue;
    }
    if (document.contents === null || (isScalar(document.contents) && value === null)) continue;
    const root = document.contents as Node;
    found.push({ value, line: (path = []) => lineAt(offsetOf(root, path)) });
  }
  return { documents: found, faults };
}

function offsetOf(root: Node, path: Path): number {
  let node: unknown = root;
  let offset = root.range?.[0] ?? 0;
  for (const step of path) {
    let next: unknown;
    if (isSeq(node)) next = node.items[Number(step)];
    else if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === String(step));
      const key = pair?.key as Node | undefined;
      if (key?.range) offset = key.range[0];
      node = pair?.value;
      if (key === undefined) break;
      continue;
    }
    if (next === undefined) break;
    offset = (next as Node).range?.[0] ?? offset;
    node = next;
  }
  return offset;
}

/**
 * A list whose items lost their indentation, as copies from web pages do (`- id: x`, then `target: y` in column 1).
 * It could be guessed what was meant; a proxy's routes are not the place to guess.
 */
function outdented(text: string, line: number): string | undefined {
  const lines = text.split('\n');
  const field = /^([A-Za-z]+)\s*:/.exec(lines[line - 1] ?? '')?.[1];
  if (!field || !(routeFields as readonly string[]).includes(field)) return undefined;
  const above = lines.slice(0, line - 1).findLast((one) => one.trim() !== '' && !/^\s*#/.test(one));
  if (!above || !/^-\s+\S/.test(above)) return undefined;
  return `'${field}' is not part of the list item above it; expected it under the item's first field, indented by two spaces`;
}

function syntax(error: YAMLParseError): string {
  const messages: Record<string, string> = {
    DUPLICATE_KEY: 'a field is given twice; expected each once',
    TAB_AS_INDENT: 'a tab is used to indent; expected spaces',
  };
  return messages[error.code] ?? `not valid YAML: ${error.message.replace(/\s+/g, ' ')}`;
}

/** `*.example.com` without quotes is YAML's reference to a node of that name. */
function unresolved(contents: unknown, text: string): { offset: number; message: string } | undefined {
  const match = /(^|[\s:[{,-])(\*[^\s,\]}]*)/m.exec(text);
  if (!match || contents === null) return undefined;
  const offset = match.index + match[1].length;
  return { offset, message: `${match[2]} without quotes is a reference in YAML; expected "${match[2]}" in quotes` };
}
