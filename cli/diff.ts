import type { CAC } from 'cac';
import type { ResourceChange } from '../src/admin/resources.ts';
import { withApply } from './apply.ts';
import { configOfPaths, sendApply } from './apply-plan.ts';
import { fateLines } from './changes-text.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, structured } from './output.ts';
import { progressOf } from './progress.ts';
import { callsOf } from './remote.ts';
import { isRevision, revisionOf } from './revision.ts';

type Options = Readonly<Record<string, unknown>> & {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly prune?: boolean;
};

/** What is to be shown: changes, certificates that would be stored, and what each side is called. */
interface Difference {
  readonly changes: readonly ResourceChange[];
  readonly certificates: readonly string[];
  readonly from: string;
  readonly to: string;
}

/** `oo diff`. Ends with 0 where nothing differs, 1 where something does, 2 or more where it can't tell. */
export function addDiffCommand(program: CAC, io: Io): void {
  const diff = program
    .command('diff [...what]', 'Show what files would change, or what changed between two revisions')
    .example('oo diff ./config                        # what oo apply ./config would change')
    .example('oo diff ./config --owner shop --prune   # and what it would remove')
    .example('oo diff @5 @9                           # from one revision to another')
    .example('oo diff @5                              # from a revision to now');
  withApply(diff).action((what: string[], options: Options) => runDiff(io, what, options));
}

async function runDiff(io: Io, what: readonly string[], options: Options): Promise<number> {
  try {
    const format = formatOf(options, 'table');
    if (what.length === 0)
      throw usageError('There is nothing to compare.', 'Name files, directories, -, or revisions such as @5 @9.');
    const difference = what.some(isRevision) ? await ofRevisions(io, what, options) : await ofFiles(io, what, options);
    const { changes, certificates, from, to } = difference;
    if (format === 'json' || format === 'yaml') io.out(await structured({ changes, certificates }, format));
    else if (format === 'name') io.out(changes.map(({ kind, id }) => `${kind}/${id}\n`).join(''));
    else {
      const { diffText } = await import('./changes-diff.ts');
      io.out(diffText(changes, from, to, io.person?.colors === true) + fateLines({ changes: [], certificates }));
    }
    return changes.length + certificates.length > 0 ? 1 : 0;
  } catch (error) {
    throw asTrouble(error);
  }
}

/** 1 says that there is a difference: trouble is more. */
function asTrouble(error: unknown): unknown {
  const { message, hint, code, faults, exitCode } = error as CliError;
  if (!(error instanceof Error) || (exitCode ?? 1) > 1) return error;
  if (!(error instanceof CliError) && typeof hint !== 'string') return error;
  return new CliError(message, { hint, code, faults, exitCode: 2, cause: error });
}

async function ofRevisions(io: Io, what: readonly string[], options: Options): Promise<Difference> {
  if (!what.every(isRevision) || what.length > 2)
    throw usageError(`${what.join(' ')} can't be compared.`, 'Give one or two revisions, such as @5 @9, or files.');
  if (options.prune || options.owner !== undefined)
    throw usageError('--prune and --owner are for files.', 'Leave them out between revisions.');
  const [from, to] = what.map((text) => revisionOf(text));
  const query = new URLSearchParams({ from: String(from), ...(to !== undefined && { to: String(to) }) });
  const { resources } = await callsOf(io, options).call('GET', `/v1/diff?${query}`);
  return { changes: resources, certificates: [], from: what[0], to: what[1] ?? 'now' };
}

async function ofFiles(io: Io, paths: readonly string[], options: Options): Promise<Difference> {
  const { call } = callsOf(io, options, { silenceMs: 600_000 });
  const progress = progressOf(io);
  try {
    const config = await configOfPaths(io, paths, options, progress);
    const { changes, certificates, revision } = await sendApply(io, call, config, { dryRun: true }, progress);
    return { changes, certificates, from: `@${revision}`, to: 'the files' };
  } finally {
    progress.end();
  }
}
