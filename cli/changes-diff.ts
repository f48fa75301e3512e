import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { stringify } from 'yaml';
import type { ResourceChange, ResourceKind } from '../src/admin/resources.ts';
import { ordered, thingOf } from './changes-text.ts';
import { sourceOf, withoutSource } from './handler-text.ts';
import { printable } from './output.ts';

// Commands import this where they need it: its packages would make every start slower.

/** A thing as a file has it, its fields in the order of the reference, of a handler its name and version; '' for none. */
export function yamlOf(kind: ResourceKind, value: ResourceChange['before']): string {
  if (value === null) return '';
  return stringify(withoutSource(ordered(kind, value)), { lineWidth: 0 });
}

/** Each change as a unified diff of its YAML, and behind it one of its handler's text. @param from what stands behind the old one's name, such as `@5` */
export function diffText(changes: readonly ResourceChange[], from: string, to: string, colors: boolean): string {
  return changes
    .map((change) => {
      const name = thingOf(change);
      const [before, after] = [yamlOf(change.kind, change.before), yamlOf(change.kind, change.after)];
      const names = [change.before === null ? '/dev/null' : name, change.after === null ? '/dev/null' : name];
      const patch = createTwoFilesPatch(names[0], names[1], before, after, from, to, patchOptions);
      return paint(patch, colors) + sourceDiff(change, name, from, to, colors);
    })
    .join('');
}

const patchOptions = { context: 3, headerOptions: FILE_HEADERS_ONLY } as const;
/** Of a handler's text, more lines help nobody at a terminal. */
const mostLines = 300;
/** Of a line of it, which a bundler may have written. */
const mostColumns = 500;
/** Two texts that have little in common would be compared for minutes. */
const bounds = { maxEditLength: 2_000, timeout: 2_000 } as const;

/** What is another one in the text of a route's handler; '' where it is the same. */
function sourceDiff(change: ResourceChange, thing: string, from: string, to: string, colors: boolean): string {
  const [before, after] = [sourceOf(change.before), sourceOf(change.after)];
  if (before === after || after === '') return '';
  const name = `${thing}: its handler`;
  const patch = createTwoFilesPatch(before === '' ? '/dev/null' : name, name, before, after, from, to, {
    ...patchOptions,
    ...bounds,
  });
  const whole = `oo route get ${printable(change.id)} -o json has all of it`;
  const lines = (text: string) => text.split('\n').length;
  if (patch === undefined)
    return `${name} is another text: ${lines(after)} lines in the place of ${lines(before)}; ${whole}\n`;
  const all = patch.replace(/\n$/, '').split('\n');
  const more = all.length > mostLines ? `… and ${all.length - mostLines} more lines; ${whole}\n` : '';
  const shown = all
    .slice(0, mostLines)
    .map((line) => (line.length > mostColumns ? `${line.slice(0, mostColumns)}…` : line));
  return paint(shown.join('\n'), colors) + more;
}

const red = '\x1b[31m';
const green = '\x1b[32m';
const cyan = '\x1b[36m';
const bold = '\x1b[1m';
const plain = '\x1b[0m';

/** What others wrote into it does nothing to the terminal. */
function paint(patch: string, colors: boolean): string {
  const lines = patch.replace(/\n$/, '').split('\n');
  return lines
    .map((line, i) => {
      const text = printable(line.replace(/\t/g, '  '));
      const color = i < 2 ? bold : line.startsWith('@@') ? cyan : line.startsWith('+') ? green : red;
      const isPlain = !colors || (i >= 2 && !/^[-+@]/.test(line));
      return isPlain ? `${text}\n` : `${color}${text}${plain}\n`;
    })
    .join('');
}
