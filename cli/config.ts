import type { CAC } from 'cac';
import type { ServerSetting } from '../src/admin/process-api.ts';
import { withOutput } from './certs-common.ts';
import { settingsInForce } from './environment.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured, table } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { commonSettings, serveSettings } from './settings.ts';

interface Options {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly here?: boolean;
}

/** `oo config`. */
export function addConfigCommand(program: CAC, io: Io): void {
  const config = program
    .command('config', 'Every setting of the running server, its value, and where that came from')
    .example('oo config')
    .example('oo config --here                    # what oo serve would take, started here')
    .example('oo config -o json')
    .option('--here', 'Ask no server: read the variables of this shell, as oo serve would');
  withRemote(withOutput(config)).action((options: Options) => showConfig(io, options));
}

async function showConfig(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const settings = options.here ? here(io, options) : await ofServer(io, options);
  if (format === 'json' || format === 'yaml') return io.out(await structured(settings, format));
  if (format === 'name') return io.out(settings.map(({ name }) => `${printable(name)}\n`).join(''));
  const rows = settings.map(({ name, value, source }) => [name, value, source].map(printable));
  io.out(table(['SETTING', 'VALUE', 'FROM'], rows));
}

function here(io: Io, options: Options): readonly ServerSetting[] {
  return settingsInForce({ ...commonSettings, ...serveSettings }, options as Record<string, unknown>, io.env);
}

async function ofServer(io: Io, options: Options): Promise<readonly ServerSetting[]> {
  const { call } = callsOf(io, options as Record<string, unknown>);
  const { settings } = (await call('GET', '/v1/config')) as { settings: readonly ServerSetting[] };
  return settings;
}
