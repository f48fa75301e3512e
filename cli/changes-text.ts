import type { Applied, ResourceChange, ResourceKind } from '../src/admin/resources.ts';
import { routeFields, serviceFields } from '../src/admin/schema.ts';
import type { Impact } from '../src/core/impact.ts';
import { printable, wordLines } from './output.ts';

/** What became, or would become, of a thing. */
export type Fate = 'created' | 'updated' | 'removed';

export function fateOf({ before, after }: ResourceChange): Fate {
  if (before === null) return 'created';
  return after === null ? 'removed' : 'updated';
}

/** `route app.example.com`; settings are one thing, and have no id to say. */
export function thingOf({ kind, id }: Pick<ResourceChange, 'kind' | 'id'>): string {
  return printable(kind === 'settings' ? kind : `${kind} ${id}`);
}

/** Lines of what is done to each thing: `updated route app.example.com`. */
export function fateLines({ changes, certificates }: Pick<Applied, 'changes' | 'certificates'>): string {
  const fates: readonly Fate[] = ['created', 'updated', 'removed'];
  const lines = fates.map((fate) => wordLines(fate, changes.filter((one) => fateOf(one) === fate).map(thingOf)));
  return (
    lines.join('') +
    wordLines(
      'stored',
      certificates.map((id) => printable(`certificate ${id}`)),
    )
  );
}

/** `2 created, 1 removed, 40 unchanged`. */
export function countsText({ changes, certificates, unchanged }: Applied): string {
  const counts: [number, string][] = (['created', 'updated', 'removed'] as const).map((fate) => [
    changes.filter((one) => fateOf(one) === fate).length,
    fate,
  ]);
  counts.push([certificates.length, certificates.length === 1 ? 'certificate stored' : 'certificates stored']);
  counts.push([unchanged, 'unchanged']);
  const said = counts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return said.length > 0 ? said.join(', ') : 'nothing to do';
}

/** The same value with its fields in the order in which the reference has them; others behind, by name. */
export function ordered<T extends object>(kind: ResourceKind, value: T): T {
  const known: readonly string[] = kind === 'route' ? routeFields : ['id', ...serviceFields];
  const place = (field: string) => (known.includes(field) ? known.indexOf(field) : known.length);
  const fields = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(fields.sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))) as T;
}

/** What a change does to the requests that were seen lately; '' where none were. */
export function impactText({ requests, retargeted, altered, examples }: Impact): string {
  if (requests === 0) return '';
  const of = `of ${requests.toLocaleString('en')} recent requests`;
  const parts = [`${retargeted.toLocaleString('en')} ${of} change target`];
  if (altered > 0) parts.push(`${altered.toLocaleString('en')} more go by another route or other options`);
  const lines = examples.flatMap(({ method, url, requests: times, from, to }) => [
    `  ${method} ${url}${times > 1 ? ` (${times} times)` : ''}`,
    `    was ${from}`,
    `    now ${to}`,
  ]);
  return `${[parts.join('; '), ...lines.map(keepIndent)].join('\n')}\n`;
}

function keepIndent(line: string): string {
  const [, indent, text] = /^( *)(.*)$/s.exec(line) as RegExpExecArray;
  return indent + printable(text);
}
