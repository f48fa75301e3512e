import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Route } from '../../src/index.ts';
import { temporary } from '../helpers/temporary.ts';
import { executable, freePort, killAll, tree } from '../journey/oo.ts';
import { bundleServer } from './bundle.ts';
import { startProcess } from './process.ts';
import { writeWorkerd } from './workerd.ts';

/** Where the same checks run; `oo` is the built executable. */
export const runtimeNames = ['node', 'bun', 'deno', 'workerd', 'oo'] as const;
export type RuntimeName = (typeof runtimeNames)[number];
export const embeddings = ['node', 'bun', 'deno', 'workerd'] as const satisfies readonly RuntimeName[];

/** A route of a check; `handler` is the name of a file in test/runtimes/handlers, without `.mjs`. */
export type CheckRoute = Omit<Route, 'handler'> & { readonly handler?: string | { file: string; timeoutMs?: number } };

/** Where a request would go. */
export interface Explained {
  readonly route: string;
  /** Everything that was said, as JSON. */
  readonly text: string;
}

/** A running server with oo's proxy in it. */
export interface Subject {
  readonly name: RuntimeName;
  readonly port: number;
  /** Its processes. */
  pids(): number[];
  /** Puts these routes into the place of all that there are. Rejects where they are refused. */
  use(...routes: CheckRoute[]): Promise<void>;
  /** The same. @returns why they were refused; '' where they were not */
  refusal(...routes: CheckRoute[]): Promise<string>;
  explain(url: string, method?: string): Promise<Explained>;
  /** Requests and failures by target of a route, as the server tells them. */
  stats(route: string): Promise<string>;
  /** What the hooks were told since the last call, one line each; undefined where there are no hooks. */
  told?(): Promise<string[]>;
  /** What it has written, for a check that failed. */
  said(): string;
  close(): Promise<void>;
}

const modules = join(import.meta.dirname, 'node_modules');
export const programs = {
  bun: join(modules, '@oven/bun-linux-x64/bin/bun'),
  deno: join(modules, '@deno/linux-x64-glibc/deno'),
  workerd: join(modules, '@cloudflare/workerd-linux-64/bin/workerd'),
};

/** Starts one on a free port of 127.0.0.1, without routes. */
export async function startSubject(name: RuntimeName): Promise<Subject> {
  if (name === 'oo') return startExecutable();
  if (name !== 'node' && !existsSync(programs[name]))
    throw new Error(`${name} is not installed: npm ci --prefix test/runtimes`);
  const token = randomBytes(12).toString('hex');
  const dir = temporary();
  const file = await bundleServer(name, token, dir);
  const [command, ...args] = commandOf(name, file, dir);
  const { pid, port, said, stop } = await startProcess(name, command, args, { DENO_DIR: dir });
  const call = (path: string, body: unknown) => control(port, `/.contract/${token}/${path}`, body);
  return usable({
    ...{ name, port, said, close: stop, pids: () => [pid] },
    async refusal(...routes) {
      const answer = await call('use', routes);
      return answer.status === 200 ? '' : answer.text;
    },
    async explain(url, method = 'GET') {
      const { text } = await call('explain', { url, method });
      return { route: JSON.parse(text).route, text };
    },
    stats: async (route) => JSON.stringify(JSON.parse((await call('stats', null)).text).routes[route]),
    told: async () => JSON.parse((await call('told', null)).text),
  });
}

function usable(subject: Omit<Subject, 'use'>): Subject {
  const use = async (...routes: CheckRoute[]) => {
    const refusal = await subject.refusal(...routes);
    if (refusal !== '') throw new Error(`refused: ${refusal}`);
  };
  return { ...subject, use };
}

function commandOf(name: (typeof embeddings)[number], file: string, dir: string): string[] {
  if (name === 'node') return [process.execPath, file];
  if (name === 'bun') return [programs.bun, file];
  if (name === 'workerd') return [programs.workerd, 'serve', '--control-fd=1', writeWorkerd(file, dir)];
  return [programs.deno, 'run', '--no-prompt', '--no-config', '--no-remote', '--no-npm', '--allow-net', file];
}

/** JSON over a connection of its own. */
function control(port: number, path: string, body: unknown, socketPath?: string, method = 'POST') {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const where = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const length = bytes === undefined ? {} : { 'content-length': bytes.length };
    const headers = { 'content-type': 'application/json', host: 'control.test', ...length };
    const asked = request({ ...where, path, method, agent: false, headers, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => (text += part));
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer within 10 s`)));
    asked.on('error', reject);
    asked.end(bytes);
  });
}

async function startExecutable(): Promise<Subject> {
  const stateDir = temporary();
  const [httpPort, adminPort] = [await freePort(), await freePort()];
  const ports = ['--http-port', `${httpPort}`, '--admin-port', `${adminPort}`];
  // What one worker has learnt of a target, another has not: with one the checks need no averages.
  const args = ['serve', '--test-mode', '--workers', '1', '--state-dir', stateDir, ...ports];
  const { pid, port, said, stop } = await startProcess('oo', executable, args, {});
  const call = (path: string, body?: unknown, method = 'POST') =>
    control(0, path, body, join(stateDir, 'oo.sock'), method);
  let ids: string[] = [];
  return usable({
    ...{ name: 'oo', port, said, pids: () => tree(pid) },
    async refusal(...routes) {
      const sent = routes.map(withSource);
      const saved = routes.length === 0 ? { status: 200, text: '' } : await call('/v1/routes', { routes: sent }, 'PUT');
      if (saved.status !== 200) return saved.text;
      const kept = new Set(routes.map(({ id }) => id));
      const gone = ids.filter((id) => !kept.has(id));
      ids = [...kept];
      if (gone.length === 0) return '';
      const removed = await call('/v1/routes', { ids: gone }, 'DELETE');
      if (removed.status >= 300) throw new Error(`removal: ${removed.status} ${removed.text}`);
      return '';
    },
    async explain(url, method = 'GET') {
      const { text } = await call('/v1/explain', { url, method });
      return { route: JSON.parse(text).match.route, text };
    },
    stats: async () => (await call('/v1/live', undefined, 'GET')).text,
    async close() {
      const all = tree(pid);
      await stop();
      killAll(all);
    },
  });
}

/** A handler as the executable gets it: the text of its file is a part of the route. */
function withSource(route: CheckRoute): unknown {
  if (route.handler === undefined) return route;
  const told = typeof route.handler === 'string' ? { file: route.handler } : route.handler;
  const source = readFileSync(join(import.meta.dirname, `handlers/${told.file}.mjs`), 'utf8');
  return { ...route, handler: { ...told, source } };
}
