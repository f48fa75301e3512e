import type { CertificateDetail } from '../src/admin/certs.ts';
import { readRoutes } from '../src/admin/schema.ts';
import type { Route } from '../src/core/types.ts';
import { stepText } from './cert-text.ts';
import { type Caller, caller } from './client.ts';
import { readSettings } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { printable, sentence } from './output.ts';
import { actorOf } from './routes-api.ts';
import { commonSettings, serveSettings } from './settings.ts';
import { resolveStateDir } from './state.ts';

/** A CA mostly answers in seconds; after this the rest is left to the server, ms. */
const patienceMs = 90_000;
const lookEveryMs = 250;

/**
 * `oo up HOST TARGET`: a host is served, with HTTPS, in one step. By the server of the state directory where one runs; else this process becomes it,
 * and runs until a signal.
 * @param flags those of `oo serve`, as cac gives them
 * @returns the exit code
 * @throws CliError
 */
export async function up(
  io: Io,
  host: string,
  target: string,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const route = routeOf(host, target);
  const { stateDir, testMode } = readSettings({ ...commonSettings, ...serveSettings }, flags, io.env);
  const dir = resolveStateDir(stateDir, io.env);
  const call = callerOf(io, dir);
  if (await isServed(call)) {
    await bring(io, call, route, testMode);
    return 0;
  }
  const { serve } = await import('./serve.ts');
  return serve(flags, (started) => bring(io, callerOf(io, started), route, testMode));
}

function callerOf(io: Io, stateDir: string): Caller {
  return caller({ stateDir, actor: actorOf(io.env), offline: false });
}

/** `3000` and `:3000` are ports of this machine. */
function routeOf(host: string, target: string): Route {
  const port = /^:?(\d{1,5})$/.exec(target)?.[1];
  const read = readRoutes([{ id: host, target: port === undefined ? target : `127.0.0.1:${port}` }]);
  if ('routes' in read) return read.routes[0];
  const [{ message }] = read.faults;
  throw usageError(
    printable(sentence(message[0].toUpperCase() + message.slice(1))),
    'Such as: oo up app.example.com :3000',
  );
}

async function isServed(call: Caller): Promise<boolean> {
  try {
    await call('GET', '/v1/status');
    return true;
  } catch (error) {
    const { code } = ((error as CliError).cause ?? {}) as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false;
    throw error;
  }
}

async function bring(io: Io, call: Caller, route: Route, testMode: boolean): Promise<void> {
  const { created, updated } = (await call('PUT', '/v1/routes', { routes: [route], reason: 'oo up' })) as Saved;
  const did = created.length > 0 ? 'created' : updated.length > 0 ? 'updated' : 'unchanged';
  io.err(`${did} ${route.id}: its requests go to ${printable(String(route.target))}\n`);
  const { https, http } = (await call('GET', '/v1/status')) as { http: number; https: number };
  const [, name, path] = /^([^/]*)(.*)$/.exec(route.id) as RegExpExecArray;
  const isSecure = https !== 0 && !testMode && !name.startsWith('*');
  if (isSecure) await certificateOf(io, call, name);
  io.out(
    `${isSecure ? 'https' : 'http'}://${name}${portText(name, isSecure ? https : http, isSecure ? 443 : 80)}${path}/\n`,
  );
}

interface Saved {
  readonly created: readonly string[];
  readonly updated: readonly string[];
}

/** An id that names a port says it already. */
function portText(name: string, port: number, usual: number): string {
  return port === usual || /:\d+$/.test(name) ? '' : `:${port}`;
}

/** Waits until there is a certificate, and says what is being done for it. @throws CliError that says why there is none */
async function certificateOf(io: Io, call: Caller, name: string): Promise<void> {
  const path = `/v1/certs/${encodeURIComponent(name.replace(/:\d+$/, ''))}`;
  let said = '';
  for (const end = performance.now() + patienceMs; performance.now() < end; ) {
    const detail = (await call('GET', path).catch(missing)) as CertificateDetail | undefined;
    if (detail?.certificate) return;
    if (detail?.lastFailure && detail.running === null) throw failed(name, detail);
    if (detail?.unmet)
      throw new CliError(printable(sentence(detail.unmet.reason)), { hint: printable(detail.unmet.hint) });
    const doing = detail?.running ? stepText(detail.running.step) : '';
    if (doing !== '' && doing !== said) io.err(`certificate for ${name}: ${doing}\n`);
    said = doing;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  const hint = `The server goes on trying: oo cert get ${name} shows how it goes.`;
  throw new CliError(`There is no certificate for ${name} yet.`, { hint });
}

/** For a moment after the save nobody has looked at the name. */
function missing(error: CliError): undefined {
  if (error.code !== 'OO_NOT_FOUND' && error.code !== 'OO_NO_CERTIFICATE') throw error;
}

function failed(name: string, { lastFailure, nextTryAt }: CertificateDetail): CliError {
  const { message = '', hint = '', step = '' } = lastFailure ?? {};
  const next = nextTryAt === null ? '' : ` It is tried again at ${nextTryAt}.`;
  const said = `No certificate for ${name}: it failed at ${stepText(step)}: ${message}`;
  return new CliError(printable(sentence(said)), { hint: printable(`${sentence(hint)}${next}`.trim()) });
}
