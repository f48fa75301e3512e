import type { CAC } from 'cac';
import type { AuditInfo } from '../src/admin/audit-api.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import type { Caller } from './client.ts';
import { flagOf } from './flag-values.ts';
import { instant } from './history.ts';
import type { Io } from './io.ts';
import { formatOf, printable, second, structured, table } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { count } from './values.ts';

type Options = CommonOptions & Readonly<Record<string, unknown>>;

const defaultCount = 20;
const most = 1_000_000;
/** What one call answers at most. */
const pageSize = 1_000;
/** Ids that a row of the table shows. */
const shownIds = 3;

/** `oo audit`. */
export function addAuditCommand(program: CAC, io: Io): void {
  const audit = program
    .command('audit', 'Show who has written what by the API: from where, and what it was answered')
    .example('oo audit')
    .example('oo audit -n 100 -o json')
    .example('oo audit --actor token:tok_3f2a… --since 2d')
    .option('-n, --number <N>', `How many, the newest first (default: ${defaultCount}; with --since: all)`)
    .option('--actor <WHO>', 'Only by this one, as the column WHO has it')
    .option('--since <TIME>', 'Only those of the last 2d, 3h, 10m, or from a day on');
  withRemote(withOutput(audit)).action((options: Options) => runAudit(io, options));
}

async function runAudit(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const since = flagOf(options, 'since', instant(Date.now()));
  const actor = flagOf(options, 'actor', (text) => text);
  const number = flagOf(options, 'number', count(1, most)) ?? (since === undefined ? defaultCount : most);
  const entries = await listEntries(callsOf(io, options).call, number, actor, since);
  if (format === 'json' || format === 'yaml') return io.out(await structured(entries, format));
  if (format === 'name') return io.out(entries.map(({ id }) => `${id}\n`).join(''));
  const rows = entries.map(({ at, actor: who, from, operation, path, ids, status, revision }) => [
    second(at),
    ...[who, from, whatOf(operation, path, ids)].map(printable),
    revision === null ? String(status) : `${status} @${revision}`,
  ]);
  io.out(table(['WHEN', 'WHO', 'FROM', 'WHAT', 'STATUS'], rows));
  if (rows.length === 0) io.err('Nothing of that kind was written by the API.\n');
}

/** `saveRoutes app.example.com, b.example.com and 3 more`. */
function whatOf(operation: string, path: string, ids: readonly string[]): string {
  if (ids.length === 0) return `${operation} ${path}`;
  const more = ids.length > shownIds ? ` and ${ids.length - shownIds} more` : '';
  return `${operation} ${ids.slice(0, shownIds).join(', ')}${more}`;
}

async function listEntries(
  call: Caller,
  number: number,
  actor: string | undefined,
  since: number | undefined,
): Promise<AuditInfo[]> {
  const found: AuditInfo[] = [];
  for (let after: string | undefined; found.length < number; ) {
    const query = new URLSearchParams({
      limit: String(Math.min(pageSize, number - found.length)),
      ...(actor !== undefined && { actor }),
      ...(since !== undefined && { since: new Date(since).toISOString() }),
      ...(after !== undefined && { after }),
    });
    const page = (await call('GET', `/v1/audit?${query}`)) as { entries: AuditInfo[]; next?: string };
    found.push(...page.entries);
    if (page.next === undefined) break;
    after = page.next;
  }
  return found;
}
