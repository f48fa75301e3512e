import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { stringify } from 'yaml';
import type { ResourceChange, ResourceKind } from '../src/admin/resources.ts';
import { ordered, thingOf } from './changes-text.ts';
import { printable } from './output.ts';

// Commands import this where they need it: its packages would make every start slower.

/** A thing as a file has it, its fields in the order of the reference; '' for none. */
export function yamlOf(kind: ResourceKind, value: ResourceChange['before']): string {
  if (value === null) return '';
  return stringify(ordered(kind, value), { lineWidth: 0 });
}

/** Each change as a unified diff of its YAML. @param from what stands behind the old one's name, such as `@5` */
export function diffText(changes: readonly ResourceChange[], from: string, to: string, colors: boolean): string {
  return changes
    .map((change) => {
      const name = thingOf(change);
      const [before, after] = [yamlOf(change.kind, change.before), yamlOf(change.kind, change.after)];
      const names = [change.before === null ? '/dev/null' : name, change.after === null ? '/dev/null' : name];
      const patch = createTwoFilesPatch(names[0], names[1], before, after, from, to, {
        context: 3,
        headerOptions: FILE_HEADERS_ONLY,
      });
      return paint(patch, colors);
    })
    .join('');
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
