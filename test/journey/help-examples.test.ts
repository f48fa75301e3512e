// time limit: 300 s
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createOo } from '../../cli/oo.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { type Expected, expectations, unrunnable } from './help-expectations.ts';
import { serveWithPebble } from './https.ts';
import { executable, freePort, type Program, type Server, serve, start } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// Each example that a --help shows is typed into a shell, beside a server that has what it speaks of. Only what this machine has otherwise is
// replaced: addresses of apps and servers, ids and tokens that were made up.
const help = suite('examples of --help');

/** An example without its comment. The first page of help has its words in columns. */
function lineOf(example: string, isGlobal: boolean): string {
  const [line] = example.split(isGlobal ? / {2,}/ : / +# /);
  return line.trim();
}

const { cac } = createOo();
const shown = [
  ...cac.commands.flatMap(({ name, examples }) =>
    examples.map((text) => ({ name, line: lineOf(String(text), false) })),
  ),
  ...cac.globalCommand.examples.map((text) => ({ name: '', line: lineOf(String(text), true) })),
];

let app: Upstream;
let newer: Upstream;
let server: Server;
let other: Server;
/** With what `--offline` needs: a state directory that no server holds. */
let cold: string;
/** Files that examples name. */
let files: string;
/** The whole configuration as each example finds it. */
let baseRevision: number;
let adminToken: string;

async function call(stateDir: string, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  return within(
    new Promise((resolve, reject) => {
      const asked = request({ socketPath: join(stateDir, 'oo.sock'), method, path, agent: false });
      asked.on('error', reject).on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('error', reject).on('end', () => {
          if ((response.statusCode ?? 500) < 300) resolve(text === '' ? {} : JSON.parse(text));
          else reject(new Error(`${method} ${path}: ${text}`));
        });
      });
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    }),
    `${method} ${path}`,
    20_000,
  );
}

/** What examples speak of. */
async function furnish(one: Server): Promise<void> {
  const routes = ['app.example.com', 'app.example.com/api'].map((id) => ({ id, target: app.target }));
  await call(one.stateDir, 'POST', '/v1/apply', { routes, services: [{ id: 'web' }, { id: 'user-svc' }] });
  await call(one.stateDir, 'POST', '/v1/apply', {
    owner: 'shop',
    routes: [{ id: 'shop.example.com', target: app.target }],
  });
  for (let i = 0; i < 12; i++) {
    const target = i < 11 ? `http://10.0.0.9:${3000 + i}` : app.target;
    await call(one.stateDir, 'POST', '/v1/apply', { routes: [{ id: 'app.example.com', target }] });
  }
}

function writeFixtures(dir: string, adminPort: number, otherDir: string): void {
  const put = (name: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text, { mode });
  };
  put('routes.yaml', `- id: one.example.com\n  target: ${app.target}\n`);
  put('auth.mjs', 'export default (request, next) => next();\n');
  put('routes/two.yaml', `id: two.example.com\ntarget: ${app.target}\n`);
  put('services.yaml', '- id: user-svc\n  balance: random\n');
  put('config/routes.yaml', `routes:\n  - id: config.example.com # ours\n    target: ${app.target}\n`);
  put('oo.yaml', `routes:\n  - id: app.example.com # the app\n    target: ${app.target}\n`);
  put('instances.yaml', `slug: user-svc\nurl: http://${app.target}\nttlSeconds: 3600\n`);
  put('token.txt', `${adminToken}\n`);
  put('password.txt', 'correct horse battery\n');
  put('new.key', Buffer.alloc(32, 7).toString('base64'), 0o600);
  const own = makeCertificate('DNS:app.example.com', 'DNS:*.example.com');
  for (const name of ['fullchain.pem', 'cert.pem']) put(name, own.cert);
  put('chain.pem', makeCertificate('DNS:ca.example.com').cert);
  put('privkey.pem', own.key, 0o600);
  // An app that registers, and ends on a signal.
  put(
    'server.js',
    "require('node:http').createServer((_, r) => r.end('up')).listen(process.env.APP_PORT, '127.0.0.1');\n" +
      "process.on('SIGTERM', () => process.exit(0));\n",
  );
  mkdirSync(join(dir, '.config/fish/completions'), { recursive: true });
  const contexts = {
    prod: { url: `http://127.0.0.1:${adminPort}`, token: adminToken },
    staging: { url: `http://127.0.0.1:${adminPort}`, token: adminToken },
    other: { stateDir: otherDir },
  };
  put('.config/oo/config.json', JSON.stringify({ contexts }), 0o600);
  // Programs that not every machine has, or that need another machine or a person.
  const program = (name: string, text: string) => put(`bin/${name}`, text, 0o755);
  program('ssh', '#!/bin/sh\nexec /bin/sh -c "$2"\n');
  program('less', '#!/bin/sh\nexec cat\n');
  program('jq', `#!/bin/sh\nexec node -e 'JSON.parse(require("fs").readFileSync(0))'\n`);
  program('code', '#!/bin/sh\nsed -i "s/^target: .*/target: 127.0.0.1:9/" "$2"\n');
  program('vi', '#!/bin/sh\nsed -i "s/^target: .*/target: 127.0.0.1:9/" "$1"\n');
  symlinkSync(process.execPath, join(dir, 'bin/node'));
}

help.before(async () => {
  // uvu says nothing of what fails here.
  await furnishAll().catch((error) => {
    console.error(error);
    throw error;
  });
});

async function furnishAll(): Promise<void> {
  app = await startUpstream('app');
  newer = await startUpstream('newer');
  ({ server } = await serveWithPebble());
  other = await serve();
  adminToken = (await server.ok('token', 'create', '--admin', '-q')).out.trim();
  await furnish(server);
  files = temporary();
  writeFixtures(files, server.adminPort, other.stateDir);
  const [cert, key] = ['fullchain.pem', 'privkey.pem'].map((name) => join(files, name));
  await server.ok('cert', 'save', 'app.example.com', '--cert', cert, '--key', key);
  baseRevision = (await call(server.stateDir, 'GET', '/v1/export')).revision as number;
  assert.ok(baseRevision > 9, `${baseRevision}`);
  await server.ok('backup', join(files, 'oo.backup'));
  cpSync(join(server.stateDir, 'encryption.key'), join(files, 'encryption.key'));
  const still = await serve();
  await furnish(still);
  await still.stop();
  cold = still.stateDir;
}

help.after(async () => {
  const ends = await Promise.all([server.stop(), other.stop()]).finally(cleanUp);
  assert.equal(
    ends.map(({ code }) => code),
    [0, 0],
  );
});

/** Where a line is typed: a home of its own, with copies of the files, which is the working directory too. */
interface Place {
  readonly home: string;
  readonly env: Record<string, string>;
}

async function place({ at }: Expected): Promise<Place> {
  const home = temporary();
  cpSync(files, home, { recursive: true, verbatimSymlinks: true });
  const ports = [await freePort(), await freePort(), await freePort()].map(String);
  const stateDir = at === undefined ? server.stateDir : join(home, 'state');
  if (at === 'cold') cpSync(cold, stateDir, { recursive: true });
  const own = { OO_HTTP_PORT: ports[0], OO_HTTPS_PORT: ports[1], OO_ADMIN_PORT: ports[2], OO_ACME: 'off' };
  const path = `${home}/bin:${dirname(executable)}:/usr/bin:/bin`;
  return { home, env: { HOME: home, PATH: path, OO_STATE_DIR: stateDir, ...(at === 'empty' && own) } };
}

function sh(line: string, { home, env }: Place, input = ''): Program {
  return start(['-c', `set -o pipefail\n${line}`], { program: '/bin/bash', cwd: home, env, input });
}

async function ended(program: Program, line: string): Promise<{ code: number | null; out: string; err: string }> {
  const { code } = await within(program.ended, `the end of: ${line}: ${program.out()}${program.err()}`, 60_000);
  return { code, out: program.out(), err: program.err() };
}

/** What was made up in an example, as it is here. */
async function localized(line: string, appPort: number): Promise<string> {
  const made = async (path: string, body: unknown, method = 'POST') => call(server.stateDir, method, path, body);
  let text = line
    .replace('127.0.0.1:3000', line.includes('node server.js') ? `127.0.0.1:${appPort}` : app.target)
    .replace('127.0.0.1:3001', newer.target)
    // What a test's stderr is can't be opened by its name.
    .replace('/dev/stderr', 'shown.txt')
    .replace('https://edge.example.com', `http://127.0.0.1:${server.adminPort}`)
    .replace(/http:\/\/(10\.0\.0\.[15]|127\.0\.0\.1):11337/, `http://127.0.0.1:${server.adminPort}`)
    .replace(/ 8080\b/, ` ${await freePort()}`)
    .replace(/ 8443\b/, ` ${await freePort()}`);
  if (text.includes('tok_3f2a…')) {
    const { id } = (await made('/v1/tokens', { scopes: ['routes:read'] })) as { id: string };
    text = text.replace('tok_3f2a…', id);
  }
  if (text.includes('OO_TOKEN=oo_…')) {
    const { token } = (await made('/v1/tokens', { role: 'service', slug: 'user-svc' })) as { token: string };
    text = text.replace('oo_…', token);
  }
  if (/inst_3f2a…|instances? ls/.test(text)) {
    const fields = { slug: 'user-svc', url: `http://${app.target}`, ttlSeconds: 3600 };
    const { instance } = (await made('/v1/instances', fields, 'PUT')) as { instance: { id: string } };
    text = text.replace('inst_3f2a…', instance.id);
  }
  return text.replace('oo_…', adminToken).replace(/^source <\((.*)\)$/, 'set -e; text=$($1); source <(echo "$text")');
}

async function runs(line: string, expected: Expected): Promise<void> {
  const where = await place(expected);
  if (expected.at === undefined) {
    await call(server.stateDir, 'POST', '/v1/rollback', { revision: baseRevision });
  }
  const appPort = await freePort();
  where.env.APP_PORT = `${appPort}`;
  for (const before of expected.before ?? []) {
    const prepared = await localized(before, appPort);
    const { code, err } = await ended(sh(prepared, where), before);
    assert.is(code, 0, `before ${line}: ${prepared}: ${err}`);
  }
  const typed = await localized(line, appPort);
  const { until: word, during = [], codes = [0] } = expected;
  const program = sh(
    word === undefined ? typed : `exec env ${typed}`,
    where,
    (expected.input ?? '').replace('TOKEN', adminToken),
  );
  const isOver = () => program.hasEnded() || (word?.test(program.out() + program.err()) ?? false);
  // It may not listen yet when the first one happens.
  for (let i = 0; during.length > 0 && !isOver(); i++) {
    assert.ok(i < 20, `${line} hears nothing: ${program.err()}`);
    for (const one of during) {
      const { code, err } = await ended(sh(one, where), one);
      assert.is(code, 0, `during ${line}: ${err}`);
    }
    await sleep(100);
  }
  if (word !== undefined) {
    await until(isOver, `${line}: ${word}`, 30_000);
    assert.not(program.hasEnded(), `${line}: ended: ${program.out()}${program.err()}`);
    program.signal('SIGTERM');
  }
  const { code, out, err } = await ended(program, line);
  assert.ok(codes.includes(code), `${typed}: ended with ${code}: ${out}${err}`);
  if (expected.says) assert.match(out + err, expected.says, typed);
  for (const after of expected.after ?? []) {
    const { code, err } = await ended(sh(after, where), after);
    assert.is(code, 0, `after ${line}: ${err}`);
  }
  rmSync(where.home, { recursive: true, force: true });
}

for (const { name, line } of new Map(shown.map((one) => [one.line, one])).values()) {
  const reason = unrunnable[line];
  if (reason !== undefined) {
    help(`${line} (parsed only: ${reason})`, async () => {
      const [own, ...rest] = line.replace(/^(sudo |[A-Z_]+=\S+ )+/, '').split(' -- ');
      const asked = [`${own} --help`, ...rest].join(' -- ');
      const { code, out, err } = await ended(sh(asked, await place({ at: 'empty' })), asked);
      assert.is(code, 0, `${asked}: ${err}`);
      assert.ok(out.includes(`oo ${name}`), `${asked} shows ${out}`);
    });
    continue;
  }
  help(`${line} (${name || 'oo --help'})`, () => runs(line, expectations[line] ?? {}));
}

/** Commands whose every example changes the machine. */
const changesMachine = ['untrust', 'service uninstall'];

help('each command has an example that is run, and each expectation is of an example', () => {
  const lines = new Set(shown.map(({ line }) => line));
  const stale = [...Object.keys(expectations), ...Object.keys(unrunnable)].filter((line) => !lines.has(line));
  assert.equal(stale, [], 'no help shows these any more');
  const run = new Set(shown.filter(({ line }) => unrunnable[line] === undefined).map(({ name }) => name));
  const without = cac.commands.map(({ name }) => name).filter((name) => !run.has(name));
  assert.equal(without, changesMachine, 'commands without an example that is run');
});

help('what help prints are these examples', async () => {
  for (const { name, examples } of cac.commands) {
    const program = start([...name.split(' '), '--help']);
    const { code, out } = await ended(program, `oo ${name} --help`);
    assert.is(code, 0);
    for (const example of examples) assert.ok(out.includes(String(example).trimEnd()), `oo ${name} --help: ${example}`);
  }
});

help.run();
