import type { CAC, Command } from 'cac';
import type { ResourceChange, RevisionInfo } from '../src/admin/resources.ts';
import type { Caller } from './client.ts';
import { usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { formatOf, printable, second, structured, table } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { revisionOf } from './revision.ts';
import { count, duration } from './values.ts';

type Options = Readonly<Record<string, unknown>>;

const defaultCount = 20;
/** What one call answers at most. */
const pageSize = 1_000;
/** Longer than any history. */
const longestMs = 100 * 366 * 86_400_000;

/** `oo history`. */
export function addHistoryCommand(program: CAC, io: Io): void {
  const history = program
    .command('history [revision]', 'Show who changed the configuration, when, and why')
    .example('oo history')
    .example('oo history -n 100')
    .example('oo history --since 2d       # or a day: --since 2026-01-31')
    .example('oo history @7               # what it changed')
    .option('-n, --number <N>', `How many, the newest first (default: ${defaultCount}; with --since: all)`)
    .option('--since <TIME>', 'Only those of the last 2d, 3h, 10m, or from a day on');
  withOutputs(history).action((revision: string | undefined, options: Options) => runHistory(io, revision, options));
}

function withOutputs(command: Command): Command {
  command.option('-o, --output <FORMAT>', 'table, json, yaml or name');
  command.option('-q, --quiet', 'Names only: -o name');
  return withRemote(command);
}

async function runHistory(io: Io, revision: string | undefined, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const since = flagOf(options, 'since', instant(Date.now()));
  const most = flagOf(options, 'number', count(1, 100_000)) ?? (since === undefined ? defaultCount : 100_000);
  const number = revision === undefined ? undefined : revisionOf(revision);
  const { call } = callsOf(io, options);
  if (number !== undefined) return showRevision(io, call, number, options);
  const revisions = await listRevisions(call, most, since);
  if (format === 'json' || format === 'yaml') return io.out(await structured(revisions, format));
  if (format === 'name') return io.out(revisions.map((one) => `@${one.revision}\n`).join(''));
  const rows = revisions.map((one) => [
    `@${one.revision}`,
    second(new Date(one.at).toISOString()),
    ...[one.actor, one.from, String(one.changes), one.reason].map(printable),
  ]);
  io.out(table(['REVISION', 'WHEN', 'WHO', 'FROM', 'CHANGES', 'REASON'], rows));
  if (rows.length === 0)
    io.err(since === undefined ? 'Nothing has been changed yet.\n' : 'Nothing was changed since.\n');
}

/** The newest first. @param since epoch ms */
async function listRevisions(call: Caller, most: number, since = 0): Promise<RevisionInfo[]> {
  const found: RevisionInfo[] = [];
  for (let before: number | undefined; found.length < most; ) {
    const limit = Math.min(pageSize, most - found.length);
    const query = new URLSearchParams({
      limit: String(limit),
      ...(before !== undefined && { before: String(before) }),
    });
    const { revisions } = (await call('GET', `/v1/history?${query}`)) as { revisions: RevisionInfo[] };
    const fresh = revisions.filter(({ at }) => at >= since);
    found.push(...fresh);
    if (revisions.length < limit || fresh.length < revisions.length) break;
    before = revisions[revisions.length - 1].revision;
  }
  return found;
}

async function showRevision(io: Io, call: Caller, number: number, options: Options): Promise<void> {
  if (options.since !== undefined || options.number !== undefined)
    throw usageError('-n and --since are for the list.', `Leave them out: oo history @${number}`);
  const format = formatOf(options, 'table');
  const found = (await call('GET', `/v1/history/${number}`)) as RevisionInfo & { resources: ResourceChange[] };
  if (format === 'json' || format === 'yaml') return io.out(await structured(found, format));
  if (format === 'name') return io.out(found.resources.map(({ kind, id }) => `${kind}/${id}\n`).join(''));
  const { at, actor, from, reason } = found;
  const words = [second(new Date(at).toISOString()), `by ${actor}`, ...(from ? [`from ${from}`] : [])];
  io.err(`${printable(`@${number}: ${words.join(', ')}${reason ? `: ${reason}` : ''}`)}\n`);
  const { diffText } = await import('./changes-diff.ts');
  io.out(diffText(found.resources, `@${number - 1}`, `@${number}`, io.person?.colors === true));
}

/** A length of time before now, or a day or a time, as epoch ms. */
export function instant(now: number): (text: string) => number {
  return (text) => {
    // Times without a zone are UTC, as those that are shown are.
    const [, day, time = 'T00:00', zone = 'Z'] =
      /^(\d{4}-\d\d-\d\d)([ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?$/i.exec(text) ?? [];
    const at = Date.parse(`${day}${time.replace(' ', 'T')}${zone}`);
    if (!Number.isNaN(at)) return at;
    try {
      return now - duration(0, longestMs)(text);
    } catch {
      throw new RangeError('a time such as 2d, 3h or 10m, or a day such as 2026-01-31');
    }
  };
}
