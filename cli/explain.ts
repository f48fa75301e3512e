import type { CAC } from 'cac';
import type { ExplainRequest, Explanation } from '../src/admin/explain-types.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import { explainText } from './explain-text.ts';
import { usageError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { revisionOf } from './revision.ts';
import { terminalOf } from './terminal.ts';

type Options = CommonOptions & {
  readonly method?: string;
  readonly header?: string | readonly string[];
  readonly from?: string;
  readonly at?: string;
};

/** `oo explain`. @param colorsOf whether it is painted; default: on a terminal, unless NO_COLOR is set */
export function addExplainCommand(
  program: CAC,
  io: Io,
  colorsOf: () => boolean = () => terminalOf(io.env)?.colors === true,
): void {
  const command = program
    .command('explain <url>', 'What becomes of a request, and why: nothing is sent')
    .example('oo explain https://app.example.com/api/users')
    .example("oo explain app.example.com/login -X POST -H 'Cookie: oo_sticky=…' --from 203.0.113.9")
    .example('oo explain http://127.0.0.1:11337/user-svc/health')
    .example('oo explain https://app.example.com --at @5     # by the routes of revision 5')
    .example('oo explain https://app.example.com -o json | jq .outcome')
    .option('-X, --method <METHOD>', 'Its method (default: GET)')
    .option('-H, --header <FIELD>', "A header field, 'Name: value'; can be given several times")
    .option('--from <IP>', "The client's address (default: 127.0.0.1)")
    .option('--at <REVISION>', 'By the routes and services of another revision, such as @5');
  withRemote(withOutput(command)).action((url: string, options: Options) => runExplain(io, url, options, colorsOf));
}

async function runExplain(io: Io, url: string, options: Options, colorsOf: () => boolean): Promise<number> {
  const format = formatOf(options, 'table');
  const { method, from, at } = options;
  const request: ExplainRequest = {
    url,
    ...(method !== undefined && { method: String(method) }),
    ...(options.header !== undefined && { headers: headersOf(options.header) }),
    ...(from !== undefined && { from: String(from) }),
    ...(at !== undefined && { at: revisionOf(at, '--at') }),
  };
  const { call } = callsOf(io, options as Record<string, unknown>);
  const told: Explanation = await call('POST', '/v1/explain', request);
  if (format === 'json' || format === 'yaml') io.out(await structured(told, format));
  else if (format === 'name') io.out(told.match.route === '' ? '' : `${printable(told.match.route)}\n`);
  else io.out(explainText(told, colorsOf()));
  return told.outcome.ok ? 0 : 1;
}

/** `Name: value`, as curl takes it. */
function headersOf(given: string | readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const line of [given].flat()) {
    const [, name, value] = /^([^:\s]+):\s*(.*?)\s*$/s.exec(String(line)) ?? [];
    if (name === undefined) throw usageError(`-H is '${printable(String(line))}'; expected 'Name: value'.`);
    const lower = name.toLowerCase();
    headers[lower] = [...(headers[lower] ?? []), value];
  }
  return headers;
}
