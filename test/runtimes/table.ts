/** `node test/runtimes/table.ts`: puts the table of what passes where into docs/runtimes.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { groups } from './checks.ts';
import { type RuntimeName, runtimeNames } from './runtime.ts';

const page = join(import.meta.dirname, '../../docs/runtimes.md');
const start = '<!-- table: made by test/runtimes/table.ts -->\n';
const end = '<!-- /table -->';

const titles: Readonly<Record<RuntimeName, string>> = {
  node: 'Node',
  bun: 'Bun',
  deno: 'Deno',
  workerd: 'workerd',
  oo: '`oo serve`',
};

/** What the checks show, as Markdown: a row a check, and why not where it is not so. */
export function makeTable(): string {
  const notes: string[] = [];
  const rows = groups.flatMap(({ title, checks }) => [
    [`**${title}**`, ...runtimeNames.map(() => '')],
    ...checks.map(({ name, cannot }) => [
      name.replaceAll('|', '\\|'),
      ...runtimeNames.map((runtime) => {
        const why = cannot?.[runtime]?.why;
        if (why === undefined) return 'yes';
        if (!notes.includes(why)) notes.push(why);
        return `no (${notes.indexOf(why) + 1})`;
      }),
    ]),
  ]);
  const head = ['', ...runtimeNames.map((name) => titles[name])];
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `\n${lines.join('\n')}\n\n${notes.map((note, i) => `${i + 1}. ${note}\n`).join('')}\n`;
}

/** @returns docs/runtimes.md as it is, and as it would be with the table of the checks */
export function tablePage(): { readonly is: string; readonly wanted: string } {
  const is = readFileSync(page, 'utf8');
  const [from, to] = [is.indexOf(start), is.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/runtimes.md has no place for the table: ${start}${end}`);
  return { is, wanted: `${is.slice(0, from + start.length)}${makeTable()}${is.slice(to)}` };
}

if (import.meta.main) writeFileSync(page, tablePage().wanted);
