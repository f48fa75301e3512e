import type { CAC } from 'cac';
import type { Applied } from '../src/admin/resources.ts';
import type { CommonOptions } from './certs-common.ts';
import { countsText, fateLines, thingOf } from './changes-text.ts';
import { runRollback, withTimes } from './deploy.ts';
import { CliError, usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured } from './output.ts';
import { callsOf } from './remote.ts';
import { isRevision, revisionOf } from './revision.ts';

type Options = CommonOptions & Readonly<Record<string, unknown>> & { readonly dryRun?: boolean };

/** `oo rollback`: of a route or a service to the target before its last deploy, or of the whole configuration to a revision. */
export function addRollbackCommand(program: CAC, io: Io): void {
  const rollback = program
    .command('rollback <name>', 'Go back: a route or service to before its last deploy, or all to a revision, @5')
    .example('oo rollback web')
    .example('oo rollback app.example.com --force   # without asking whether the old one is healthy')
    .example('oo rollback @5 --dry-run              # the whole configuration as it was then: what that would change')
    .example('oo rollback @5 --reason "the new rack is down"   # itself a new revision')
    .option('--dry-run', 'Of a revision: show it, change nothing');
  withTimes(rollback, '10s').action((name: string, options: Options) =>
    isRevision(name) ? runRevision(io, name, options) : runDeploy(io, name, options),
  );
}

async function runDeploy(io: Io, name: string, options: Options): Promise<void> {
  if (options.dryRun) throw usageError('--dry-run is for revisions.', 'For example: oo rollback @5 --dry-run');
  await runRollback(io, name, options);
}

async function runRevision(io: Io, name: string, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const revision = revisionOf(name);
  for (const flag of ['deadline', 'drain', 'force'] as const)
    if (options[flag] !== undefined) throw usageError(`--${flag} is for deploys.`, 'Leave it out for a revision.');
  const reason = flagOf(options, 'reason', (given) => given);
  const isDry = options.dryRun === true;
  const outcome = await rolledBack(io, options, isDry, { revision, ...(reason !== undefined && { reason }) });
  if (format === 'json' || format === 'yaml') return io.out(await structured(outcome, format));
  if (format === 'name') return io.out(outcome.changes.map(({ kind, id }) => `${kind}/${id}\n`).join(''));
  const whole = { ...outcome, certificates: outcome.certificates ?? [], unchanged: 0 };
  if (isDry) {
    const { diffText } = await import('./changes-diff.ts');
    io.out(diffText(outcome.changes, `@${outcome.revision}`, name, io.person?.colors === true));
  }
  io.out(fateLines(whole));
  const counts = countsText(whole);
  io.err(
    isDry
      ? `Would be: ${counts}. Nothing was changed; revision ${outcome.revision}\n`
      : `As it was at @${revision}: ${counts}; revision ${outcome.revision}\n`,
  );
}

async function rolledBack(io: Io, options: Options, isDry: boolean, body: object): Promise<Applied> {
  const { call } = callsOf(io, options, { silenceMs: 600_000 });
  try {
    return await call('POST', isDry ? '/v1/rollback?dryRun=true' : '/v1/rollback', body);
  } catch (error) {
    const faults = (error as CliError).faults as { kind?: 'route'; id?: string; message: string }[] | undefined;
    if (faults === undefined || faults.length === 0) throw error;
    for (const { kind = 'route', id = '', message } of faults)
      io.err(`${thingOf({ kind, id })}: ${printable(message)}\n`);
    const hint = 'What was stored then is refused now. oo diff shows what has changed since.';
    throw new CliError('It can not be made as it was; nothing was changed.', { hint, cause: error });
  }
}
