import type { CAC } from 'cac';
import type { NodeInfo } from '../src/admin/registry-view.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import type { Io } from './io.ts';
import { ago, formatOf, printable, structured, table } from './output.ts';
import { callsOf, withRemote } from './remote.ts';

/** `oo node list`. */
export function addNodeCommands(program: CAC, io: Io): void {
  const list = program
    .command('node list', 'List the machines that run oo on this database')
    .alias('node ls')
    .example('oo node ls')
    .example('oo nodes ls -o json');
  withRemote(withOutput(list)).action((options: CommonOptions) => listNodes(io, options));
}

async function listNodes(io: Io, options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const { call } = callsOf(io, options as Record<string, unknown>);
  const { nodes } = (await call('GET', '/v1/nodes')) as { nodes: NodeInfo[] };
  if (format === 'name') return io.out(nodes.map(({ id }) => `${printable(id)}\n`).join(''));
  if (format !== 'table') return io.out(await structured(nodes, format));
  const rows = nodes.map(({ id, url, lastHeartbeat }) => [id, url, ago(lastHeartbeat, Date.now())].map(printable));
  io.out(table(['NODE ID', 'URL', 'LAST HEARTBEAT'], rows));
}
