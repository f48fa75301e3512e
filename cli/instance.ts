import type { CAC, Command } from 'cac';
import type { InstanceInfo } from '../src/admin/registry-view.ts';
import { withOutput } from './certs-common.ts';
import { CliError, usageError } from './failure.ts';
import { addInstanceRegister } from './instance-register.ts';
import type { Io } from './io.ts';
import { ago, formatOf, printable, structured, table, wordLines } from './output.ts';
import { addRegistrationFlags, type RegistrationOptions, registrationOf, registrationsOf } from './registration.ts';
import { callsOf, withRemote } from './remote.ts';
import { showDuration } from './values.ts';

type Options = RegistrationOptions & { readonly output?: string; readonly quiet?: boolean };

/** `oo instance list|save|register|rm`. */
export function addInstanceCommands(program: CAC, io: Io): void {
  const list = program
    .command('instance list', 'List the instances that have registered, with their health')
    .alias('instance ls')
    .example('oo instance ls')
    .example('oo instances ls --slug user-svc -o json')
    .option('--slug <SERVICE>', 'Only those of one service');
  common(list).action((options: Options) => listInstances(io, options));

  addInstanceRegister(program, io);

  const save = program
    .command(
      'instance save [...paths]',
      'Register instances once, by flags or files; they expire with their time to live',
    )
    .alias('instance s')
    .example('oo instance save --slug user-svc --url http://10.0.0.2:3000 --ttl 1h')
    .example('oo instance save instances.yaml         # slug, url, weight …: one, a list, or several --- documents');
  addRegistrationFlags(save);
  common(save).action((paths: string[], options: Options) => saveInstances(io, paths, options));

  const remove = program
    .command('instance rm <...ids>', 'Deregister instances: no request goes there any more')
    .alias('instance remove')
    .example('oo instance rm inst_3f2a…')
    .example('oo instance ls --slug user-svc -q | xargs oo instance rm');
  common(remove).action((ids: string[], options: Options) => removeInstances(io, ids, options));
}

function common(command: Command): Command {
  return withRemote(withOutput(command));
}

async function listInstances(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { slug } = options;
  if (Array.isArray(slug))
    throw usageError('--slug is given more than once.', 'Give it once, or leave it out for all.');
  const query = slug === undefined ? '' : `?${new URLSearchParams({ slug: String(slug) })}`;
  const { call } = callsOf(io, options);
  const { instances } = (await call('GET', `/v1/instances${query}`)) as { instances: InstanceInfo[] };
  if (format === 'name') io.out(instances.map(({ id }) => `${id}\n`).join(''));
  else io.out(format === 'table' ? instancesTable(instances, Date.now()) : await structured(instances, format));
  if (format === 'table' && instances.length === 0) io.err(noneText(slug === undefined ? undefined : String(slug)));
}

/** The seed's table. @param now epoch ms */
export function instancesTable(instances: readonly InstanceInfo[], now: number): string {
  const rows = instances.map(({ id, url, status, slug, lastHeartbeat }) => [
    id,
    url,
    status,
    slug,
    ago(lastHeartbeat, now),
  ]);
  return table(
    ['INSTANCE ID', 'URL', 'STATUS', 'OWNER SLUG', 'LAST HEARTBEAT'],
    rows.map((row) => row.map(printable)),
  );
}

function noneText(slug: string | undefined): string {
  const of = slug === undefined ? '' : ` of ${printable(slug)}`;
  return `There are no instances${of}: oo instance register --help shows how one registers.\n`;
}

async function saveInstances(io: Io, paths: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const given = registrationOf(options);
  if (given !== undefined && paths.length > 0)
    throw usageError('Files and flags are given both.', 'Save by one of them.');
  if (given === undefined && paths.length === 0)
    throw usageError('There is nothing to save.', 'Give --slug and --url, or name a file, a directory or -.');
  const registrations = given === undefined ? await registrationsOf(io, paths) : [given];
  const { call } = callsOf(io, options);
  const saved: InstanceInfo[] = [];
  const words: string[] = [];
  for (const [i, registration] of registrations.entries()) {
    const { instance, isNew } = await call('PUT', '/v1/instances', registration.fields).catch((error) => {
      throw partly(error, registration.place, i);
    });
    saved.push(instance);
    words.push(wordLines(isNew ? 'registered' : 'renewed', [instance.id]));
  }
  if (format === 'name') io.out(saved.map(({ id }) => `${id}\n`).join(''));
  else io.out(format === 'table' ? words.join('') : await structured(saved, format));
  const [{ ttlSeconds }] = saved;
  const rest = showDuration(ttlSeconds * 1_000);
  io.err(`${saved.length === 1 ? 'It expires' : 'They expire'} without another heartbeat, the first in ${rest}.\n`);
}

/** Instances are registered one after the other: what came before stays. */
function partly(error: unknown, place: string, before: number): unknown {
  if (!(error instanceof CliError) || place === '') return error;
  const done = before === 0 ? '' : ` (${before} before it ${before === 1 ? 'is' : 'are'} registered)`;
  const { hint, code } = error;
  return new CliError(`${place}: ${error.message}${done}`, { hint, code, cause: error });
}

async function removeInstances(io: Io, ids: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { call } = callsOf(io, options);
  const outcome = await call('DELETE', '/v1/instances', { ids });
  const { removed, missing } = outcome as Record<'removed' | 'missing', string[]>;
  if (format === 'name') io.out(removed.map((id) => `${id}\n`).join(''));
  else io.out(format === 'table' ? wordLines('removed', removed) : await structured(outcome, format));
  if (missing.length === 0) return;
  const message = `There is no instance ${missing.map(printable).join(', ')}.`;
  throw new CliError(message, { hint: 'oo instance ls shows those that are.' });
}
