import { fieldValue, isFieldName, isFieldValue, isFraming } from './option-field.ts';
import {
  compileTemplate,
  type Fill,
  fillTemplate,
  placeholders,
  type Template,
  templateText,
} from './option-placeholder.ts';
import { isMapping, type Say, shorten, show } from './pool-proof.ts';

/** Header rules, taken apart. Frozen. */
export interface FieldRules {
  /** Names in lower case: all fields that have one go. */
  readonly drop: ReadonlySet<string>;
  /** What is put in, in that order. */
  readonly put: readonly FieldLine[];
  /** Whether a value has placeholders. */
  readonly fills: boolean;
}

export interface FieldLine {
  /** As it was written. */
  readonly name: string;
  readonly value: Template;
}

export type FieldSide = 'requestHeaders' | 'responseHeaders';

const steps = ['remove', 'set', 'add'] as const;
const mostRules = 100;
/** Beside what frames: they belong to the connection, or to what the transport does: the opening of a WebSocket, copies for a mirror. */
const connections = new Set([
  ...['proxy', 'sec-websocket-key', 'sec-websocket-accept', 'sec-websocket-version', 'x-oo-mirror'],
]);

/**
 * Proves the rules of one side.
 * @returns null if there is nothing to do
 */
export function compileFields(value: unknown, side: FieldSide, say: Say): FieldRules | null {
  if (value === undefined) return null;
  if (!isMapping(value)) {
    say(`${side} is ${show(value)}; expected a mapping of remove, set and add`);
    return null;
  }
  for (const key of Object.keys(value)) {
    if (!steps.includes(key as 'set')) say(`unknown field '${side}.${shorten(key)}'; expected remove, set or add`);
  }
  const drop = new Set<string>();
  const put: FieldLine[] = [];
  if (value.remove !== undefined) removeFields(value.remove, side, drop, say);
  if (value.set !== undefined) putFields(value.set, side, 'set', (line) => setField(line, side, drop, put, say), say);
  if (value.add !== undefined) putFields(value.add, side, 'add', (line) => put.push(line), say);
  if (drop.size + put.length > mostRules) say(`${side} has more than ${mostRules} rules`);
  if (drop.size === 0 && put.length === 0) return null;
  return Object.freeze({ drop, put, fills: put.some(({ value: { names } }) => names.length > 0) });
}

function removeFields(names: unknown, side: FieldSide, drop: Set<string>, say: Say): void {
  if (!Array.isArray(names)) return say(`${side}.remove is ${show(names)}; expected a list of names`);
  for (const name of names) if (isName(name, `${side}.remove`, say)) drop.add(name.toLowerCase());
}

/** In the place of all of that name. */
function setField(line: FieldLine, side: FieldSide, drop: Set<string>, put: FieldLine[], say: Say): void {
  const name = line.name.toLowerCase();
  if (put.some((other) => other.name.toLowerCase() === name))
    say(`${side}.set names ${line.name} twice; expected one spelling`);
  drop.add(name);
  put.push(line);
}

function putFields(fields: unknown, side: FieldSide, step: string, take: (line: FieldLine) => void, say: Say): void {
  const where = `${side}.${step}`;
  if (!isMapping(fields)) return say(`${where} is ${show(fields)}; expected a mapping of names to values`);
  for (const [name, value] of Object.entries(fields)) {
    if (!isName(name, where, say)) continue;
    for (const one of step === 'add' && Array.isArray(value) ? value : [value]) {
      const template = templateOf(one, `${where}.${name}`, say);
      if (template !== undefined) take(Object.freeze({ name, value: template }));
    }
  }
}

function isName(name: unknown, where: string, say: Say): name is string {
  if (!isFieldName(name) || name.includes('*')) {
    say(`${where} names ${show(name)}; expected a field's whole name, such as X-Frame-Options`);
    return false;
  }
  const lower = name.toLowerCase();
  if (lower === 'host') say(`${where} names Host; the option hostHeader says which one the upstream sees`);
  else if (isFraming(name) || connections.has(lower) || (lower.startsWith('proxy-') && lower !== 'proxy-status'))
    say(`${where} names ${name}; expected a field that neither frames the message nor belongs to the connection`);
  else return true;
  return false;
}

function templateOf(value: unknown, where: string, say: Say): Template | undefined {
  if (value === '') say(`${where} has no value; remove takes a field out`);
  else if (typeof value !== 'string') say(`${where} is ${show(value)}; expected a text, in quotes if it is a number`);
  else if (!isFieldValue(value))
    say(`${where} is ${show(value)}; expected ${fieldValue.expected}, no space around them`);
  else {
    const template = compileTemplate(value);
    if (!('unknown' in template)) return template;
    const known = placeholders.map((name) => `{${name}}`).join(' ');
    say(`${where} has the unknown placeholder {${shorten(template.unknown)}}; expected one of ${known}`);
  }
  return undefined;
}

/** The lines that rules put in, each with its CRLF. A line whose placeholders leave nothing is left out. */
export function putLines({ put }: FieldRules, fill: Fill): string {
  let lines = '';
  for (const { name, value } of put) {
    const filled = fillTemplate(value, fill);
    if (filled !== '') lines += `${name}: ${filled}\r\n`;
  }
  return lines;
}

/** The same as names and values, for transports over Headers. */
export function putFieldsOf({ put }: FieldRules, fill: Fill): [name: string, value: string][] {
  return put
    .map(({ name, value }): [string, string] => [name, fillTemplate(value, fill)])
    .filter(([, value]) => value !== '');
}

/**
 * A head without some of its fields.
 * @param head a proven HTTP/1.1 head, each line with its CRLF, without the empty one
 * @param drop names in lower case
 */
export function dropFields(head: string, drop: ReadonlySet<string>): string {
  if (drop.size === 0) return head;
  let at = head.indexOf('\n') + 1;
  let kept = head.slice(0, at);
  while (at > 0 && at < head.length) {
    const end = head.indexOf('\n', at) + 1;
    if (!drop.has(head.slice(at, head.indexOf(':', at)).toLowerCase())) kept += head.slice(at, end);
    at = end;
  }
  return kept;
}

/** For people: what is done, a line each. */
export function describeFields({ drop, put }: FieldRules): string[] {
  const set = new Set(put.map(({ name }) => name.toLowerCase()).filter((name) => drop.has(name)));
  const lines = [...drop].filter((name) => !set.has(name)).map((name) => `remove ${name}`);
  for (const { name, value } of put) {
    const lower = name.toLowerCase();
    lines.push(`${set.delete(lower) ? 'set' : 'add'} ${name}: ${templateText(value)}`);
  }
  return lines;
}
