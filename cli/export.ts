import type { CAC } from 'cac';
import { ordered } from './changes-text.ts';
import { parseConfig } from './config-files.ts';
import type { Exported } from './export-files.ts';
import { CliError, usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { revisionOf } from './revision.ts';
import { findFiles, readSource } from './route-files.ts';

type Options = Readonly<Record<string, unknown>> & { readonly force?: boolean };

/** `oo export`. */
export function addExportCommand(program: CAC, io: Io): void {
  const command = program
    .command('export [path]', 'Write the configuration as files that oo apply makes it of again')
    .example('oo export                        # YAML, to standard output')
    .example('oo export oo.yaml                # a file that is there keeps its comments and its order')
    .example(
      'oo export ./config               # each thing to the file that has it; new ones to routes.yaml, services.yaml',
    )
    .example('oo export --owner shop -o json')
    .example('oo export --at @5                # as it was at that revision')
    .option('--owner <NAME>', 'Only what has this label (default: that of the files that are there)')
    .option('--at <REV>', 'As it was at a revision, such as @5')
    .option('--force', 'Replace a file that can not keep its comments')
    .option('-o, --output <FORMAT>', 'yaml or json (default: yaml; json for a .json file)');
  withRemote(command).action((path: string | undefined, options: Options) => runExport(io, path, options));
}

async function runExport(io: Io, path: string | undefined, options: Options): Promise<void> {
  const format = formatOfExport(options, path);
  const at = options.at === undefined ? undefined : revisionOf(options.at, '--at');
  const owner = flagOf(options, 'owner', (given) => given) ?? (path === undefined ? undefined : await ownerOf(path));
  const { call } = callsOf(io, options, { silenceMs: 600_000 });
  const answer = await call('GET', at === undefined ? '/v1/export' : `/v1/export?at=${at}`);
  const exported = exportedOf(answer, owner);
  const comments = certificateComments(await certificateIds(call));
  if (path === undefined) {
    const value = documentOf(exported);
    const text = await structured(value, format);
    return io.out(format === 'json' ? text : `${comments}${text}`);
  }
  const { planExport, writeExport } = await import('./export-files.ts');
  const files = await planExport(path, exported, { format, comments, force: options.force === true });
  writeExport(files);
  for (const { path: name, isSame } of files) io.out(`${isSame ? 'unchanged' : 'wrote'} ${name}\n`);
}

function formatOfExport({ output }: Options, path: string | undefined): 'yaml' | 'json' {
  if (output === undefined) return path?.toLowerCase().endsWith('.json') ? 'json' : 'yaml';
  if (output === 'yaml' || output === 'json') return output;
  throw usageError(`-o is '${String(output)}'; expected yaml or json.`);
}

/** What the server says, its fields in the order of the reference, and nothing of deploys and pauses. */
function exportedOf(answer: Partial<Exported>, owner: string | undefined): Exported {
  const { routes = [], services = [], settings = {} } = answer;
  const things = <T extends object>(kind: 'route' | 'service', list: readonly T[]) =>
    list
      .filter((thing) => owner === undefined || (thing as { owner?: unknown }).owner === owner)
      .map((thing) => {
        const { rollout: _, ...rest } = thing as T & { rollout?: unknown };
        return ordered(kind, rest) as T;
      });
  return { routes: things('route', routes), services: things('service', services), settings, owner };
}

/** The label that files which are there say: they hold what is theirs. */
async function ownerOf(path: string): Promise<string | undefined> {
  const { existsSync } = await import('node:fs');
  if (!existsSync(path)) return undefined;
  const { items } = await parseConfig(findFiles(path).map(readSource));
  const owner = items.owner[0]?.value;
  return typeof owner === 'string' ? owner : undefined;
}

/** Lists that are empty are not there, and an owner is said once. */
export function documentOf(exported: Exported): object {
  const { settings, owner } = exported;
  const [routes, services] = [exported.routes, exported.services].map((list) =>
    list.map((thing) => {
      const { owner: own, ...rest } = thing;
      return own === owner ? rest : thing;
    }),
  );
  return {
    ...(owner !== undefined && { owner }),
    // Settings are nobody's.
    ...(owner === undefined && Object.keys(settings).length > 0 && { settings }),
    ...(services.length > 0 && { services }),
    ...(routes.length > 0 && { routes }),
  };
}

/** Ids of certificates that people brought; none where the caller may not see them. */
async function certificateIds(call: ReturnType<typeof callsOf>['call']): Promise<string[]> {
  try {
    const { certs } = (await call('GET', '/v1/certs')) as { certs: { id: string; source?: string }[] };
    return certs.filter(({ source }) => source === 'saved').map(({ id }) => id);
  } catch (error) {
    if (error instanceof CliError) return [];
    throw error;
  }
}

function certificateComments(ids: readonly string[]): string {
  if (ids.length === 0) return '';
  const lines = ids.slice(0, 100).map((id) => `#   - { id: ${id}, cert: ./${id}.pem, key: ./${id}.key }`);
  return [
    '# Certificates of your own are not exported, since their keys are not. With their files beside this one:',
    '# certificates:',
    ...lines,
    '',
  ].join('\n');
}
