import { closeSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import { isatty } from 'node:tty';
import { defaultEdgeSettings, type EdgeSettings } from '../src/edge/settings.ts';
import { ListenError } from '../src/edge/supervisor.ts';
import { certificateSettings } from './certificate-settings.ts';
import { readSettings, settingsInForce } from './environment.ts';
import { CliError, explain, usageError } from './failure.ts';
import { type RunningServer, type ServerOptions, startServer } from './server.ts';
import { commonSettings, serveSettings } from './settings.ts';
import { resolveStateDir } from './state.ts';

const allSettings = { ...commonSettings, ...serveSettings };

/**
 * `oo serve`: runs until a signal. Resolves with the exit code.
 * @param flags as cac gives them
 * @param onStarted what else there is to do when it serves; where that fails it goes on serving, and says why
 * @throws CliError where it can't start
 */
export async function serve(
  flags: Readonly<Record<string, unknown>>,
  onStarted?: (stateDir: string) => Promise<void>,
): Promise<number> {
  const options = serverOptions(flags);
  checkAccessLog(options.edge.accessLog);
  // Heard from now on: a server that starts must not leave its workers behind.
  const signals = hearSignals();
  const server = await startServer(options).catch((error) => {
    throw error instanceof ListenError ? explainListen(error, options) : error;
  });
  const ended = signals.end(server, options.edge.drainTimeoutMs);
  greet(server, options, typeof flags.stateDir === 'string', onStarted === undefined);
  onStarted?.(options.stateDir).catch((error) => process.stderr.write(`oo: ${explain(error).lines.join('\n    ')}\n`));
  return ended;
}

/** What flags and variables make of it. */
function serverOptions(flags: Readonly<Record<string, unknown>>): ServerOptions {
  const values = readSettings(allSettings, flags);
  const { testMode, stateDir, db, dbToken, encryptionKey } = values;
  refuseSharedPorts(values);
  return {
    stateDir: resolveStateDir(stateDir),
    databaseUrl: db,
    databaseToken: dbToken,
    encryptionKey,
    admin: { port: values.adminPort, host: values.adminHost },
    self: {
      url: values.selfUrl ?? `http://${hostname()}:${values.adminPort}`,
      id: values.nodeId,
      az: values.az,
    },
    edge: {
      ...pick(values, Object.keys(defaultEdgeSettings) as (keyof typeof values & keyof EdgeSettings)[]),
      http: { port: values.httpPort, host: values.httpHost },
      https: testMode ? null : { port: values.httpsPort, host: values.httpsHost },
    } satisfies Omit<EdgeSettings, 'service' | 'builtInSocket' | 'handlers'>,
    apiHosts: values.apiHosts,
    settings: settingsInForce(allSettings, flags),
    certificates: pick(values, Object.keys(certificateSettings) as (keyof typeof certificateSettings)[]),
    log: (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`),
  };
}

/** Workers share their ports with one another, so the system would let one of them be two listeners. */
function refuseSharedPorts(values: {
  httpPort: number;
  httpsPort: number;
  adminPort: number;
  testMode: boolean;
}): void {
  const { httpPort, httpsPort, adminPort, testMode } = values;
  const listeners: [name: string, port: number, flag: string][] = [
    ['HTTP', httpPort, '--http-port'],
    ...(testMode ? [] : [['HTTPS', httpsPort, '--https-port'] as [string, number, string]]),
    ['admin', adminPort, '--admin-port'],
  ];
  for (const [at, [name, port, flag]] of listeners.entries()) {
    const [first] = listeners.slice(0, at).find(([, other]) => other === port && port !== 0) ?? [];
    if (first === undefined) continue;
    const rest = name === 'HTTPS' ? ', or --test-mode for no HTTPS.' : '.';
    throw usageError(
      `port ${port} is to be both the ${first} and the ${name} port.`,
      `Give ${flag} another one${rest}`,
    );
  }
}

function pick<T, K extends keyof T>(values: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.filter((key) => key in (values as object)).map((key) => [key, values[key]])) as Pick<
    T,
    K
  >;
}

/** The workers open it, but a file that can't be written is better told of now. */
function checkAccessLog(where: string): void {
  if (where === 'off' || where === '-') return;
  try {
    closeSync(openSync(where, 'a'));
  } catch (cause) {
    const hint = 'Name a file that this user may write with --access-log, - for standard output, or off.';
    throw new CliError(`The access log can't be written: ${(cause as Error).message}.`, { hint, cause });
  }
}

/** @param elsewhere its state directory is named by a flag, so that commands need it, too */
function greet(server: RunningServer, options: ServerOptions, elsewhere: boolean, hint: boolean): void {
  const { http, https } = options.edge;
  const where = [`${server.httpPort} (HTTP, ${http.host ?? 'all addresses'})`];
  if (https !== null) where.push(`${server.httpsPort} (HTTPS, ${https.host ?? 'all addresses'})`);
  const ports = where.length > 1 ? 'ports' : 'port';
  const lines = [
    `oo listens on ${ports} ${where.join(', ')} and ${options.admin.host}:${server.adminPort} (service and admin).`,
    `Database: ${server.database}`,
  ];
  if (hint && isatty(2)) lines.push(nextStep(server, elsewhere ? ` --state-dir ${options.stateDir}` : ''));
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** @param dir the flag that the next command needs to find this server */
function nextStep(server: RunningServer, dir: string): string {
  const { size } = server.configuration.table;
  if (size > 0) return `${size} ${size === 1 ? 'route is' : 'routes are'} in force: oo routes ls${dir}`;
  return `No routes yet. Save one: oo route save --id localhost --target 127.0.0.1:3000${dir}`;
}

/** The first signal drains, the second ends at once; one that comes while the server starts is remembered. */
function hearSignals(): { end(server: RunningServer, drainTimeoutMs: number): Promise<number> } {
  let first: NodeJS.Signals | undefined;
  let onFirst = (_: NodeJS.Signals) => {};
  // Without their main process the workers end.
  let onSecond = (): void => process.exit(1);
  const onSignal = (signal: NodeJS.Signals) => {
    if (first !== undefined) return onSecond();
    first = signal;
    onFirst(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const end = (server: RunningServer, drainTimeoutMs: number): Promise<number> =>
    new Promise((resolve) => {
      onSecond = () => {
        server.kill();
        resolve(1);
      };
      onFirst = (signal) => {
        process.stderr.write(`${signal}: draining for ${drainTimeoutMs / 1000} s at most; once more ends at once.\n`);
        server.stop().then(
          () => resolve(0),
          (error) => {
            process.stderr.write(`${error.message}\n`);
            resolve(1);
          },
        );
      };
      if (first !== undefined) onFirst(first);
    });
  return { end };
}

/** What a system's error means to who starts oo, and how to mend it. */
export function explainListen(error: ListenError, options: ServerOptions): CliError {
  const { port, host } = error.address;
  const isAdmin = port === options.admin.port && host === options.admin.host;
  const isHttps = error.address.port === options.edge.https?.port && port !== options.edge.http.port;
  const listener = isAdmin ? 'admin' : isHttps ? 'https' : 'http';
  const flag = `--${listener}-port`;
  const where = `${host === undefined ? 'port' : `${host} port`} ${port}`;
  const known: Record<string, [string, string]> = {
    EADDRINUSE: [
      `${where} is in use by another program`,
      `Find it with: ss -ltnp 'sport = :${port}'. Stop it, or choose another port with ${flag}.`,
    ],
    EACCES: [
      `no right to bind ${where}`,
      `Run: sudo setcap cap_net_bind_service=+ep ${process.execPath}, or choose a port over 1023 with ${flag}.`,
    ],
    EADDRNOTAVAIL: [
      `${host ?? 'the address'} is not an address of this machine`,
      `See the addresses with: ip addr. Choose one with --${listener}-host.`,
    ],
  };
  const [what, hint] = known[error.code] ?? [
    `can't listen on ${where}: ${error.message}`,
    `Choose another with ${flag}.`,
  ];
  return new CliError(`${what} (${error.code}).`, { hint, cause: error });
}
