import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CAC } from 'cac';
import { type Fault, normalId, readRoutes } from '../src/admin/schema.ts';
import type { Route } from '../src/core/types.ts';
import { ordered } from './changes-text.ts';
import type { Caller } from './client.ts';
import { confirm } from './confirm.ts';
import { CliError, usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import { filedHandler, withHandlerSource } from './handler-files.ts';
import { byFile } from './handler-text.ts';
import type { Io } from './io.ts';
import { printable } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { readItems, type Source } from './route-files.ts';

type Options = Readonly<Record<string, unknown>> & { readonly yes?: boolean };

/** A route as it is on the server, and the revision of that. */
interface Read {
  readonly route: Route;
  readonly revision: number;
}

/** `oo route edit`. */
export function addRouteEditCommand(program: CAC, io: Io): void {
  const edit = program
    .command('route edit <id>', 'Change a route in your editor: $VISUAL, $EDITOR, else vi')
    .example('oo route edit app.example.com')
    .example('EDITOR="code --wait" oo route edit app.example.com/api')
    .option('--reason <TEXT>', 'Why, for the history')
    .option('--yes', 'Do not ask before it is saved');
  withRemote(edit).action((id: string, options: Options) => editRoute(io, id, options));
}

async function editRoute(io: Io, id: string, options: Options): Promise<void> {
  if (normalId(id) === undefined)
    throw usageError(`'${id}' is no route id.`, 'Expected a host, or a host and a path, such as app.example.com/api.');
  const { diffText, yamlOf } = await import('./changes-diff.ts');
  const { stringify } = await import('yaml');
  const reason = flagOf(options, 'reason', (given) => given);
  const { call } = callsOf(io, options);
  const dir = mkdtempSync(join(tmpdir(), 'oo-edit-'));
  const path = join(dir, 'route.yaml');
  let { route, revision } = await readRoute(call, id);
  let text = stringify(ordered('route', editable(route)), { lineWidth: 0, blockQuote: 'literal' });
  let faults: readonly string[] = [];
  try {
    for (;;) {
      const given = header(id, faults, typeof route.handler === 'object' && route.handler.file !== undefined) + text;
      writeFileSync(path, given, { mode: 0o600 });
      await runEditor(io, path);
      const edited = readFileSync(path, 'utf8');
      if (edited === given) return unchanged(io, id, faults);
      const body = edited.replace(/^#[:!].*\n?/gm, '');
      text = body;
      const parsed = await routeOf({ name: path, text: body }, id, route);
      if ('faults' in parsed) {
        faults = parsed.faults;
        continue;
      }
      const { before, after } = compared(route, parsed.route);
      if (yamlOf('route', before) === yamlOf('route', after)) return unchanged(io, id, []);
      io.out(diffText([{ kind: 'route', id, before, after }], `@${revision}`, 'edited', io.person?.colors === true));
      await confirm(io, `Save ${id}?`, options.yes);
      const outcome = await save(call, parsed.route, { route, revision }, reason);
      if ('saved' in outcome) return io.err(`updated ${id}; revision ${outcome.saved}\n`);
      ({ faults } = outcome);
      if (outcome.now) ({ route, revision } = outcome.now);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function unchanged(io: Io, id: string, faults: readonly string[]): void {
  if (faults.length === 0) return io.err(`Nothing was changed: ${id} is as it was.\n`);
  for (const fault of faults) io.err(`${printable(fault)}\n`);
  throw new CliError('It was left as it is; nothing was saved.', { hint: `Begin again: oo route edit ${id}` });
}

function header(id: string, faults: readonly string[], hasFile: boolean): string {
  const lines = faults.map((fault) => `#! ${printable(fault)}`);
  if (lines.length > 0) lines.push('#! Mend it and save; leave it as it is to give up.');
  lines.push(`#: ${id}: save and leave to put it in force; leave it as it is to change nothing.`);
  if (hasFile)
    lines.push('#: Its handler stays as it is stored; a path that you change is read from the present directory.');
  lines.push('#: What oo route get shows as rollout (pauses, canaries) stays as it is. Lines with #: and #! go away.');
  return `${lines.join('\n')}\n`;
}

/** What a deploy or a pause made of it is not for a file. */
function withoutRollout({ rollout: _, ...route }: Route): Route {
  return route;
}

/** A handler by its file, where it has one: its text is not for this editor. */
function editable(route: Route): Route {
  const { handler } = route;
  const rest = withoutRollout(route);
  return typeof handler === 'object' && handler.file !== undefined ? { ...rest, handler: byFile(handler) } : rest;
}

/** The same file has the text that is stored; another one is read, from the present directory. */
function withSource(value: unknown, { handler }: Route): { value: unknown } | { fault: Fault } {
  const filed = filedHandler(value);
  const stored = typeof handler === 'object' ? handler : undefined;
  if (filed === undefined || stored === undefined || filed.file !== stored.file)
    return withHandlerSource(value, 'stdin');
  return { value: { ...(value as object), handler: { ...filed, source: stored.source } } };
}

function compared(before: Route, after: Route): { before: Route; after: Route } {
  // What a save that does not say it keeps.
  const owner = after.owner ?? before.owner;
  return { before: withoutRollout(before), after: { ...withoutRollout(after), ...(owner !== undefined && { owner }) } };
}

async function routeOf(source: Source, id: string, stored: Route): Promise<{ route: Route } | { faults: string[] }> {
  const read = await readItems(source.text.trim() === '' ? [] : [source], (values) => {
    const sources = values.map((value) => withSource(value, stored));
    const unread = sources.flatMap((one, index) => ('fault' in one ? [{ index, ...one.fault }] : []));
    if (unread.length > 0) return { faults: unread };
    const proven = readRoutes(sources.map((one) => (one as { value: unknown }).value));
    return 'faults' in proven ? proven : { values: proven.routes };
  });
  if ('faults' in read) return { faults: read.faults.map(({ line, message }) => `line ${line}: ${message}`) };
  const [route, ...more] = read.values;
  if (route === undefined || more.length > 0) return { faults: [`expected the one route ${id}`] };
  if (route.id === normalId(id)) return { route };
  return { faults: [`id is '${route.id}'; expected '${id}': oo route save makes another one`] };
}

/** @returns what it came to; `now`, where somebody else has changed the route meanwhile */
async function save(
  call: Caller,
  edited: Route,
  base: Read,
  reason: string | undefined,
): Promise<{ saved: number } | { faults: string[]; now?: Read }> {
  const { yamlOf } = await import('./changes-diff.ts');
  const body = { routes: [edited], ...(reason !== undefined && { reason }) };
  for (let { revision } = base; ; ) {
    try {
      const heads = { send: { 'if-match': `"${revision}"` } };
      return { saved: (await call('PUT', '/v1/routes', body, undefined, heads)).revision };
    } catch (error) {
      const { code, faults } = error as CliError;
      if (code === 'OO_BAD_ROUTES') return { faults: (faults as readonly Fault[]).map(({ message }) => message) };
      if (code !== 'OO_CONFLICT') throw error;
    }
    const now = await readRoute(call, base.route.id);
    if (yamlOf('route', now.route) !== yamlOf('route', base.route))
      return { faults: await changedMeanwhile(base, now), now };
    // Something else was changed: that is no reason to ask again.
    revision = now.revision;
  }
}

async function changedMeanwhile(base: Read, now: Read): Promise<string[]> {
  const { diffText } = await import('./changes-diff.ts');
  const [{ route: before }, { route: after }] = [base, now];
  const change = { kind: 'route' as const, id: before.id, before, after };
  const diff = diffText([change], `@${base.revision}`, `@${now.revision}`, false);
  const lines = diff.split('\n').filter((line) => line !== '');
  return ['Somebody else has changed it meanwhile. Saving this again undoes that:', ...lines];
}

async function readRoute(call: Caller, id: string): Promise<Read> {
  let tag: string | undefined;
  const heads = {
    onAnswer({ etag }: { etag?: string }) {
      tag = etag;
    },
  };
  const { routes } = await call('GET', `/v1/routes?id=${encodeURIComponent(id)}`, undefined, undefined, heads);
  if (routes.length === 0)
    throw new CliError(`There is no route ${id}.`, { hint: 'oo route list shows those that are.' });
  return { route: routes[0], revision: Number(/^"(\d+)"$/.exec(tag ?? '')?.[1]) };
}

/** As git runs it: by the shell, since it may have arguments. */
function runEditor({ env }: Io, path: string): Promise<void> {
  const editor = env.VISUAL || env.EDITOR || 'vi';
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', `${editor} "$@"`, editor, path], { stdio: 'inherit', env });
    const failed = (why: string, cause?: unknown) =>
      reject(new CliError(`The editor ${editor} ${why}; nothing was changed.`, { hint: 'Set EDITOR.', cause }));
    child.on('error', (cause) => failed(`can't be started: ${cause.message}`, cause));
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else failed(code === null ? `was ended by ${signal}` : `ended with ${code}`);
    });
  });
}
