// time limit: 180 s
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { limits, sizeOf } from '../../scripts/package/sizes.ts';
import { ensureInstalled } from '../../scripts/test/install.ts';
import { packPackage, project, root, run, runChecked, write } from '../helpers/npm-package.ts';

// The package as somebody else has it: from the .tgz, in a project of its own.
const directory = mkdtempSync(join(tmpdir(), 'consumer-'));
const { tarball } = await packPackage(directory);
const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
project(directory, [tarball, `hono@${locked['node_modules/hono'].version}`]);

const installed = suite('the package, installed');

installed('it brings hono, and nothing else', () => {
  const record = JSON.parse(readFileSync(join(directory, 'node_modules/.package-lock.json'), 'utf8'));
  assert.equal(Object.keys(record.packages).sort(), ['node_modules/@oo/proxy', 'node_modules/hono']);
});

const use = `
import { createProxy, routeOptions } from '@oo/proxy';
const fetch = async (input, init) => {
  const { url, headers } = new Request(input, init);
  return new Response('to ' + new URL(url).host + ' as ' + headers.get('x-by'));
};
const requestHeaders = { set: { 'X-By': 'oo' } };
const proxy = createProxy({ routes: [{ id: 'a.test', target: 'http://10.0.0.9', requestHeaders }], options: routeOptions, fetch });
const response = await proxy.fetch(new Request('http://a.test/'));
console.log(response.status, await response.text());
`;

for (const [what, node] of [
  ["this project's Node", process.execPath],
  ["the machine's", 'node'],
]) {
  installed(`createProxy forwards, on ${what}`, () => {
    write(directory, { 'use.mjs': use });
    assert.is(runChecked(node, ['use.mjs'], directory).trim(), '200 to 10.0.0.9 as oo');
  });
}

installed('./node listens and answers', () => {
  write(directory, {
    'edge.mjs': `
import { createEdge } from '@oo/proxy/node';
const edge = createEdge({
  routes: [{ id: 'a.test', respond: { status: 200, body: 'from the edge' } }],
  http: { port: 0, host: '127.0.0.1' }, https: null,
});
const { httpPort } = await edge.listen();
const { request } = await import('node:http');
const text = await new Promise((done, fail) =>
  request({ port: httpPort, host: '127.0.0.1', headers: { host: 'a.test' } }, async (response) => {
    let body = '';
    for await (const part of response) body += part;
    done(response.statusCode + ' ' + body);
  }).on('error', fail).end());
console.log(text);
await edge.close();
`,
  });
  assert.is(runChecked(process.execPath, ['edge.mjs'], directory).trim(), '200 from the edge');
});

installed("./node loads on the machine's Node, too; where that is too old, createEdge says so", () => {
  const say = `import('@oo/proxy/node').then(({ createEdge }) => createEdge({ routes: [] })).then(
    () => console.log('made'), (error) => console.log(error.message))`;
  const [major] = runChecked('node', ['-p', 'process.versions.node'], directory).split('.');
  const expected = Number(major) < 22 ? /^createEdge needs Node 22 or newer/ : /^made$/;
  assert.match(runChecked('node', ['-e', say], directory).trim(), expected);
});

installed('what is missing is named, with the command that installs it', () => {
  write(directory, {
    'missing.mjs': `
import { openStore } from '@oo/proxy/store';
for (const url of ['https://db.invalid', 'file:oo.db'])
  await openStore({ url }).catch((error) => console.log(error.hint));
import { createEdge } from '@oo/proxy/node';
const none = { port: 0, host: '127.0.0.1' };
const acme = { directory: 'https://127.0.0.1:1/directory' };
await createEdge({ routes: [], http: none, https: none, certificates: { acme } }).listen().catch((error) => console.log(error.message));
`,
  });
  const lines = runChecked(process.execPath, ['missing.mjs'], directory).trim().split('\n');
  assert.is(lines.length, 3);
  for (const line of lines.slice(0, 2)) assert.match(line, /^npm install @libsql\/client\b/);
  assert.is(lines[2], 'acme-client is not installed, and certificates of a CA need it: npm install acme-client');
});

installed('nothing else can be imported', () => {
  const deep = "import('@oo/proxy/dist/package/index.js').catch((error) => console.log(error.code))";
  assert.is(runChecked(process.execPath, ['-e', deep], directory).trim(), 'ERR_PACKAGE_PATH_NOT_EXPORTED');
});

const typed = suite('the package, typed');

const portable = `
import { createProxy, type Handler, type ProxyOptions, type ProxyStats, routeOptions } from '@oo/proxy';
import { Hono } from 'hono';

const auth: Handler = async (request, next) =>
  request.headers.has('authorization') ? next(request) : new Response('no', { status: 401 });
const options: ProxyOptions = {
  routes: [{ id: 'a.test', target: 'http://10.0.0.9:3000', handler: auth, stripPrefix: '/a' }],
  options: routeOptions,
  hooks: { onResponse: ({ status, durationMs }) => void [status.toFixed(), durationMs.toFixed()] },
};
const proxy = createProxy(options);
export const app = new Hono().route('/', proxy.app);
export const stats: ProxyStats = proxy.stats();
export default { fetch: (request: Request, env: unknown, context: unknown): Promise<Response> => proxy.fetch(request, env, context) };
// @ts-expect-error: a port is no target
createProxy({ routes: [{ id: 'a.test', target: 3000 }] });
// @ts-expect-error: misspelt
createProxy({ routes: [], trustedProxy: [] });
`;

const server = `
import { createEdge, type EdgePorts } from '@oo/proxy/node';
import { openStore, StoreError } from '@oo/proxy/store';

export async function start(): Promise<EdgePorts> {
  const store = await openStore({ url: 'file:oo.db', readOnly: true }).catch((error: unknown) => {
    throw error instanceof StoreError ? new Error(error.hint) : error;
  });
  return createEdge({ routes: await store.routes(), http: { port: 8080 }, https: null }).listen();
}
// @ts-expect-error: it has no host
await openStore({ host: 'a' });
`;

/** @param settings beside what all have: everything is checked, the package's declarations as well */
function check(tsc: string, file: string, settings: object): string {
  const name = `tsconfig-${file}.json`;
  const compilerOptions = { strict: true, noEmit: true, skipLibCheck: false, target: 'es2022', ...settings };
  write(directory, { [name]: JSON.stringify({ compilerOptions, files: [file] }) });
  const { status, stdout, stderr } = run(process.execPath, [tsc, '-p', name], directory);
  return status === 0 ? 'right' : `${stdout}${stderr}`;
}

const checkers = join(import.meta.dirname, 'fixtures/checkers');
const typescript = join(root, 'node_modules/typescript/bin/tsc');
const browser = { lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'], types: [] };
const modules: [string, object][] = [
  ['nodenext', { module: 'nodenext' }],
  ['a bundler', { module: 'esnext', moduleResolution: 'bundler' }],
];
for (const [how, module] of modules) {
  typed(`as ${how} resolves: \`.\` with what browsers have, nothing of Node`, () => {
    write(directory, { 'portable.ts': portable });
    assert.is(check(typescript, 'portable.ts', { ...module, ...browser }), 'right');
  });
  typed(`as ${how} resolves: \`./node\`, \`./store\` and \`.\` with what Node has, nothing of browsers`, () => {
    write(directory, { 'portable.ts': portable, 'server.ts': server });
    const typeRoots = [join(root, 'node_modules/@types')];
    const settings = { ...module, lib: ['es2022'], types: ['node'], typeRoots };
    for (const file of ['server.ts', 'portable.ts']) assert.is(check(typescript, file, settings), 'right');
  });
}

typed('TypeScript 5.7, the oldest that hono can be checked with', () => {
  ensureInstalled(checkers);
  write(directory, { 'portable.ts': portable });
  const settings = { module: 'esnext', moduleResolution: 'bundler', ...browser };
  assert.is(check(join(checkers, 'node_modules/typescript/bin/tsc'), 'portable.ts', settings), 'right');
});

const bundled = suite('the package, bundled for a Worker');

bundled('`.` asks for no module but hono', async () => {
  const { external } = await sizeOf('createProxy, routeOptions', '@oo/proxy', directory, ['hono']);
  assert.equal(external, ['hono']);
});

bundled('with hono in it, it is one file that forwards', async () => {
  const outfile = join(directory, 'alone/worker.mjs');
  await build({
    stdin: { contents: use, resolveDir: directory },
    ...{
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      logLevel: 'silent',
      outfile,
    },
  });
  assert.is(runChecked(process.execPath, [outfile], join(directory, 'alone')).trim(), '200 to 10.0.0.9 as oo');
});

bundled('`./store` takes the way of Workers: no file, no native code', async () => {
  const linked = join(directory, 'node_modules/@libsql');
  mkdirSync(linked, { recursive: true });
  if (readdirSync(linked).length === 0) symlinkSync(join(root, 'node_modules/@libsql/client'), join(linked, 'client'));
  const { external } = await sizeOf('openStore', '@oo/proxy/store', directory, []);
  assert.equal(external, []);
});

const docs = readFileSync(join(root, 'docs/package.md'), 'utf8');
for (const { names, from, without, gzipBytes } of limits) {
  bundled(`the size of { ${names} } from ${from} is what docs/package.md says`, async () => {
    const { gzip } = await sizeOf(names, from, directory, without);
    if (gzipBytes !== undefined) assert.ok(gzip < gzipBytes, `${gzip} bytes, at most ${gzipBytes}`);
    const row = docs
      .split('\n')
      .find((line) => line.startsWith(`| \`import { ${names} } from '${from}'\` | ${without.join(', ')} |`));
    const said = Number(/\| ([\d.]+) kB \|$/.exec(row ?? '')?.[1]) * 1_000;
    assert.ok(Math.abs(said - gzip) < 1_500, `docs/package.md says ${said} bytes, measured are ${gzip}`);
  });
}

installed.run();
typed.run();
bundled.run();
