import type { CAC } from 'cac';
import type { CheckLine } from '../src/admin/certs.ts';
import type { ServerSetting } from '../src/admin/process-api.ts';
import { checkText } from './cert-renew.ts';
import { withOutput } from './certs-common.ts';
import { type DoctorHost, thisMachine } from './doctor-host.ts';
import { readSettings } from './environment.ts';
import { CliError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { commonSettings, serveSettings } from './settings.ts';

interface Options {
  readonly output?: string;
  readonly quiet?: boolean;
}

/** A clock that is further off spoils certificates and tokens, ms. */
const mostAheadMs = 60_000;
/** Each client takes a file, and each of its upstream connections another. */
const leastOpenFiles = 8_192;

/** `oo doctor`. */
export function addDoctorCommand(program: CAC, io: Io, hostOf: () => DoctorHost = thisMachine): void {
  const doctor = program
    .command('doctor', 'Ports, rights, DNS, clock, database, disk, certificates, upstreams: ok, or how to mend it')
    .example('oo doctor')
    .example('oo doctor -e prod                   # what another machine finds out about itself')
    .example('oo doctor -o json');
  withRemote(withOutput(doctor)).action((options: Options) => examine(io, options, hostOf()));
}

async function examine(io: Io, options: Options, host: DoctorHost): Promise<void> {
  const format = formatOf(options, 'table');
  const { call, place } = callsOf(io, options as Record<string, unknown>, { offline: true });
  const server = await askServer(call).catch((error: CliError) => error);
  const lines = [...(await ofMachine(io, host, place, server)), ...linesOf(server)];
  const wrong = lines.filter(({ ok }) => !ok);
  if (format === 'json' || format === 'yaml') io.out(await structured(lines, format));
  else if (format === 'name') io.out(wrong.map(({ what }) => `${printable(what)}\n`).join(''));
  else io.out(checkText(lines));
  if (wrong.length === 0) return;
  const found = wrong.length === 1 ? 'One thing is' : `${wrong.length} things are`;
  throw new CliError(`${found} not well.`, { hint: 'Each line that says NOT says how to mend it.' });
}

/** What a running server says. */
interface Told {
  readonly settings: readonly ServerSetting[];
  readonly lines: readonly CheckLine[];
  readonly version: string;
}

async function askServer(call: ReturnType<typeof callsOf>['call']): Promise<Told> {
  const { version } = (await call('GET', '/v1/status')) as { version: string };
  const { settings } = (await call('GET', '/v1/config')) as { settings: readonly ServerSetting[] };
  const { lines } = (await call('GET', '/v1/doctor')) as { lines: readonly CheckLine[] };
  return { version, settings, lines };
}

function linesOf(server: Told | CliError): CheckLine[] {
  if (!(server instanceof Error)) return [ok('server', `oo ${server.version} runs`), ...server.lines];
  return [{ what: 'server', ok: false, message: server.message, hint: server.hint ?? '' }];
}

/** What this machine shows; of a server elsewhere only its clock can be compared. */
async function ofMachine(
  io: Io,
  host: DoctorHost,
  place: ReturnType<typeof callsOf>['place'],
  server: Told | CliError,
): Promise<CheckLine[]> {
  if ('url' in place) return [];
  const values = readSettings({ ...commonSettings, ...serveSettings }, {}, io.env);
  const runs = !(server instanceof Error);
  const listeners = [
    { what: 'port of HTTP', port: values.httpPort, host: values.httpHost, flag: '--http-port' },
    ...(values.testMode
      ? []
      : [{ what: 'port of HTTPS', port: values.httpsPort, host: values.httpsHost, flag: '--https-port' }]),
    { what: 'service port', port: values.adminPort, host: values.adminHost, flag: '--admin-port' },
  ];
  // A server that runs has its ports, maybe by flags that nobody here knows.
  const ports = runs ? [] : await Promise.all(listeners.map((listener) => portLine(host, listener)));
  return [
    ...ports,
    directoryLine(host, place.stateDir, runs),
    ...filesLine(host),
    ...(await clockLine(host, values.acme)),
  ];
}

async function portLine(
  host: DoctorHost,
  listener: { what: string; port: number; host: string | undefined; flag: string },
): Promise<CheckLine> {
  const { what, port, flag } = listener;
  const code = await host.bind(port, listener.host);
  if (code === undefined) return ok(what, `${port} is free, and may be bound`);
  if (code === 'EACCES')
    return bad(
      what,
      `no right to bind ${port}`,
      `Run: sudo setcap cap_net_bind_service=+ep ${host.executable}, or as a service: sudo oo service install`,
    );
  if (code === 'EADDRINUSE')
    return bad(
      what,
      `${port} is in use by another program`,
      `Find it with: ss -ltnp 'sport = :${port}'. Stop it, or take another port with ${flag}.`,
    );
  return bad(what, `${port} can't be bound (${code})`, `Take another address or port with ${flag}.`);
}

function directoryLine(host: DoctorHost, path: string, runs: boolean): CheckLine {
  const found = host.directory(path);
  if (found === undefined)
    return runs
      ? bad(
          'state directory',
          `${path} is gone`,
          'The server still has it open: restore it from a backup, and start anew.',
        )
      : ok('state directory', `${path} will be made`);
  if (!found.writable)
    return bad(
      'state directory',
      `${path} can't be written by this user`,
      'Name another with --state-dir, or mend its owner.',
    );
  if ((found.mode & 0o077) !== 0)
    return bad(
      'state directory',
      `others may look into ${path} (mode ${found.mode.toString(8)})`,
      `Run: chmod 700 ${path}`,
    );
  return ok('state directory', path);
}

function filesLine(host: DoctorHost): CheckLine[] {
  const most = host.openFiles();
  if (most === undefined) return [];
  if (most >= leastOpenFiles) return [ok('open files', `${most} at most`)];
  const hint = `Run: ulimit -n 65536, or as a service: oo service install sets it.`;
  return [bad('open files', `${most} at most, for connections of clients and to instances`, hint)];
}

/** @param ca its directory's URL; null: none is asked for certificates */
async function clockLine(host: DoctorHost, ca: string | null): Promise<CheckLine[]> {
  const ahead = ca === null ? undefined : await host.clockAhead(ca);
  if (ahead === undefined) return [ok('clock', 'there was nobody to compare it with')];
  if (Math.abs(ahead) <= mostAheadMs)
    return [ok('clock', `within ${Math.max(1, Math.abs(Math.round(ahead / 1_000)))} s`)];
  const seconds = Math.abs(Math.round(ahead / 1_000));
  const hint = 'Certificates and tokens go by it. Turn on time synchronisation: sudo timedatectl set-ntp true';
  return [bad('clock', `it is ${seconds} s ${ahead > 0 ? 'ahead' : 'behind'}`, hint)];
}

function ok(what: string, message: string): CheckLine {
  return { what, ok: true, message, hint: '' };
}

function bad(what: string, message: string, hint: string): CheckLine {
  return { what, ok: false, message, hint };
}
