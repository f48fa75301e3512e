import type { CAC, Command } from 'cac';
import { configOfPaths, type Outcome, sendApply } from './apply-plan.ts';
import { countsText, fateLines, fateOf, impactText } from './changes-text.ts';
import { confirm } from './confirm.ts';
import { usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { type Format, formatOf, structured } from './output.ts';
import { progressOf } from './progress.ts';
import { callsOf, withRemote } from './remote.ts';
import { revisionOf } from './revision.ts';

type Options = Readonly<Record<string, unknown>> & {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
};

const text = (given: string) => given;

/** `oo apply`. */
export function addApplyCommand(program: CAC, io: Io): void {
  const apply = program
    .command('apply [...paths]', 'Make the configuration as files say: routes, services, settings, certificates')
    .example('oo apply ./config                              # every .yaml, .yml and .json file below it')
    .example('oo apply ./config --dry-run                    # what it would change, and which requests would notice')
    .example(
      'oo apply ./config --owner shop --prune         # and remove what shop had applied before, but has no more',
    )
    .example('oo export | oo -e other apply -                # from one server to another')
    .option('--dry-run', 'Prove and show it all, change nothing')
    .option('--if-match <REV>', 'Only if this still is the revision, such as @12')
    .option('--reason <TEXT>', 'Why, for the history')
    .option('--yes', 'Do not ask before things are removed');
  withApply(apply).action((paths: string[], options: Options) => runApply(io, paths, options));
}

/** The flags that `apply` and `diff` share. */
export function withApply(command: Command): Command {
  command.option('--owner <NAME>', 'The label of what this makes; --prune goes by it');
  command.option('--prune', 'Remove routes and services of the same owner that the files do not have');
  command.option('-o, --output <FORMAT>', 'table, json, yaml or name');
  command.option('-q, --quiet', 'Names only: -o name');
  return withRemote(command);
}

async function runApply(io: Io, paths: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  if (paths.length === 0)
    throw usageError('There is nothing to apply.', 'Name files, directories, or - for standard input.');
  const { call } = callsOf(io, options, { silenceMs: 600_000 });
  const reason = flagOf(options, 'reason', text);
  const match = options.ifMatch === undefined ? undefined : revisionOf(options.ifMatch, '--if-match');
  const isDry = options.dryRun === true;
  const progress = progressOf(io);
  try {
    const config = await configOfPaths(io, paths, options, progress);
    const send = (dryRun: boolean, ifMatch = match) =>
      sendApply(io, call, config, { dryRun, reason, ifMatch }, progress);
    if (isDry || !options.prune || options.yes || io.person?.ask === undefined)
      return await tell(io, await send(isDry), format, isDry);
    const plan = await send(true);
    const removed = plan.changes.filter((change) => fateOf(change) === 'removed').length;
    if (removed > 0) {
      io.err(fateLines(plan));
      await confirm(io, `${removed} ${removed === 1 ? 'is' : 'are'} removed. Go on?`, false);
    }
    // What was agreed to is what happens: not what a change in between would make of it.
    await tell(io, await send(false, removed > 0 ? plan.revision : match), format, false);
  } finally {
    progress.end();
  }
}

/** What was done, or would be. */
async function tell(io: Io, outcome: Outcome, format: Format, isDry: boolean): Promise<void> {
  const { changes, certificates, revision, impact } = outcome;
  if (format === 'json' || format === 'yaml') return io.out(await structured(outcome, format));
  if (format === 'name') {
    const things = [...changes, ...certificates.map((id) => ({ kind: 'certificate' as const, id }))];
    return io.out(things.map(({ kind, id }) => `${kind}/${id}\n`).join(''));
  }
  if (isDry) {
    const { diffText } = await import('./changes-diff.ts');
    io.out(diffText(changes, `@${revision}`, 'the files', io.person?.colors === true));
    if (impact) io.out(impactText(impact));
  }
  io.out(fateLines(outcome));
  const counts = countsText(outcome);
  io.err(
    isDry ? `Would be: ${counts}. Nothing was changed; revision ${revision}\n` : `${counts}; revision ${revision}\n`,
  );
}
