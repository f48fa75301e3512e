import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until } from '../helpers/wait.ts';
import { executable, freePort, type Program, serve, start } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// The examples of the seed's document, word for word but for the ports, typed into a shell.
const seed = suite("the seed's document");

const home = temporary();
let server: Program;
let apps: Upstream[];
let port: number;
let adminPort: number;

/** Runs a line in a shell, in the directory that holds the files. */
async function sh(line: string): Promise<{ code: number | null; out: string; err: string }> {
  // curl resolves "localhost" to ::1 first, then to 127.0.0.1.
  const env = { HOME: home, PATH: `${dirname(executable)}:/usr/bin:/bin`, PORT: `${port}` };
  const child = start(['-c', line], { program: '/bin/sh', cwd: home, env });
  await until(child.hasEnded, `the end of: ${line}`, 20_000);
  const { code } = await child.ended;
  return { code, out: child.out(), err: child.err() };
}

function write(name: string, text: string): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), text);
}

seed.before(async () => {
  [port, adminPort] = [await freePort(), await freePort()];
  apps = await Promise.all([
    startUpstream('Server A\n'),
    startUpstream('Server B\n'),
    startUpstream((request, response) => response.end(`admin ${request.headers.host}${request.url}\n`)),
    startUpstream((request, response) => response.end(`app ${request.headers.host}${request.url}\n`)),
    startUpstream((request, response) => response.end(`root ${request.headers.host}${request.url}\n`)),
  ]);
  const env = {
    HOME: home,
    OB_EDGE_PROXY: 'true',
    OB_EDGE_PROXY_TEST_MODE: 'true',
    OB_EDGE_PROXY_HTTP_PORT: `${port}`,
    OB_SELF_URL: `http://127.0.0.1:${adminPort}`,
  };
  server = start(['serve'], { env });
  await until(() => server.hasEnded() || server.err().includes('Database: '), 'the greeting', 10_000);
  assert.is(server.hasEnded(), false, server.err());
});

seed.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  assert.is(code, 0);
});

seed('two apps on one machine: curl 127.0.0.1 is A, curl localhost is B', async () => {
  write('routeA.yaml', `# routeA.yaml\nid: "127.0.0.1"\ntarget: "127.0.0.1:${apps[0].port}"\n`);
  write('routeB.yaml', `# routeB.yaml\nid: "localhost"\ntarget: "127.0.0.1:${apps[1].port}"\n`);
  const saved = [await sh('oo route save routeA.yaml'), await sh('oo route save routeB.yaml')];
  assert.equal(
    saved.map(({ code, out }) => [code, out]),
    [
      [0, 'created 127.0.0.1\n'],
      [0, 'created localhost\n'],
    ],
  );
  assert.is((await sh('curl -s 127.0.0.1:$PORT')).out, 'Server A\n');
  assert.is((await sh('curl -s localhost:$PORT')).out, 'Server B\n');
  assert.is((await sh('curl -s -4 localhost:$PORT')).out, 'Server B\n');
});

seed('oo routes list', async () => {
  const { code, out } = await sh('oo routes list');
  assert.is(code, 0);
  const [a, b] = apps;
  assert.is(out, `ROUTE ID    TARGET\n127.0.0.1   127.0.0.1:${a.port}\nlocalhost   127.0.0.1:${b.port}\n`);
  for (const other of ['oo route ls', 'oo r list', 'oo routes ls']) assert.is((await sh(other)).out, out, other);
});

seed('microfrontends by path: the longest prefix wins, on whole segments, and the path is kept', async () => {
  // Names instead of addresses, as in the document; this machine knows but one.
  const [, , admin, app, root] = apps.map((one) => `http://localhost:${one.port}`);
  write(
    'micro.yaml',
    `- id: "x.localhost"\n  target: "${root}"\n- id: "x.localhost/app"\n  target: "${app}"\n` +
      `- id: "x.localhost/app/admin"\n  target: "${admin}"\n`,
  );
  assert.is((await sh('oo route save micro.yaml')).code, 0);
  const cases: [path: string, name: string][] = [
    ['/app/admin/settings', 'admin'],
    ['/app/admin', 'admin'],
    ['/app/page', 'app'],
    ['/app', 'app'],
    ['/app?x=1', 'app'],
    ['/app/administration', 'app'],
    ['/', 'root'],
    ['/application', 'root'],
    ['/anything/else', 'root'],
  ];
  for (const [path, name] of cases) {
    const { out } = await sh(`curl -s 'x.localhost:${port}${path}'`);
    assert.is(out, `${name} x.localhost:${port}${path}\n`);
  }
});

seed('oo routes save routes.yaml, and a directory', async () => {
  write(
    'routes.yaml',
    `# routes.yaml
- id: "api.example.com"
  target: "http://1backend:11337"
- id: "example.com"
  target: "http://frontend:8080"
- id: "cdn.example.com"
  target: "http://nginx:80"
- id: "app.example.com"
  target: "http://react-app:3000"
`,
  );
  const saved = await sh('oo routes save routes.yaml');
  assert.is(saved.code, 0, saved.err);
  assert.match(saved.err, '4 created; revision');
  write('config/routes/api-route.yaml', '# api-route.yaml\nid: "api.example.com"\ntarget: "http://1backend:11337"\n');
  write('config/routes/deep/er/one.yml', `id: deep.localhost\ntarget: 127.0.0.1:${apps[0].port}\n`);
  write('config/routes/two.json', JSON.stringify([{ id: 'two.localhost', target: apps[1].target }]));
  write('config/routes/notes.txt', 'not a route');
  const directory = await sh('oo routes save ./config/routes/');
  assert.is(directory.code, 0, directory.err);
  assert.is(directory.out, 'created deep.localhost\ncreated two.localhost\nunchanged api.example.com\n');
  assert.is((await sh('curl -s deep.localhost:$PORT')).out, 'Server A\n');
  assert.is((await sh('curl -s two.localhost:$PORT')).out, 'Server B\n');
});

seed('a host without a route is told so, an app that is down too', async () => {
  const unknown = await sh('curl -s -w "%{http_code}" unknown.localhost:$PORT/page');
  assert.match(unknown.out, /unknown\.localhost.*\/page[\s\S]*404$/);
  const closed = await freePort();
  assert.is((await sh(`oo route save --id down.localhost --target 127.0.0.1:${closed}`)).code, 0);
  const down = await sh('curl -s -w "%{http_code}" down.localhost:$PORT');
  assert.match(down.out, /OO_[A-Z_]+[\s\S]*502$/);
  assert.not.match(down.out, `${closed}`);
});

/** The lines that the seed's own CLI has, each as its users type it, with what it prints first. */
const seedLines: readonly [line: string, says: RegExp][] = [
  ['oo route list', /^ROUTE ID +TARGET\n/],
  ['oo r ls', /^ROUTE ID +TARGET\n/],
  ['oo r s routes.yaml', /api\.example\.com/],
  ['oo def save definition.yaml', /user-svc/],
  ['oo definition list', /^(DEFINITION ID|SERVICE).*\n.*user-svc/],
  ['oo definitions ls', /user-svc/],
  ['oo instance save --slug user-svc --url http://127.0.0.1:$APP --ttl 1h', /./],
  ['oo instance list', /^INSTANCE ID +URL +STATUS +OWNER SLUG +LAST HEARTBEAT.*\n.*user-svc.*ago/],
  ['oo i ls', /^INSTANCE ID +URL +STATUS/],
  ['oo instance remove $(oo instance list -q)', /./],
  ['oo definition remove user-svc', /user-svc/],
  ['oo node list', /^NODE ID +URL +LAST HEARTBEAT/],
  ['oo n ls', /^NODE ID +URL +LAST HEARTBEAT/],
  ['oo env list', /local/],
  ['oo env current', /local/],
  ['oo env add second http://127.0.0.1:$ADMIN', /second/],
  ['oo token create --admin -q > token.txt', /^$/],
  ['oo login second < token.txt', /second/],
  ['oo env select second', /second/],
  ['oo env current', /second/],
  ['oo whoami', /may do everything/],
  ['oo routes list', /^ROUTE ID +TARGET\n/],
  ['oo routes list -e local', /^ROUTE ID +TARGET\n/],
  ['oo routes list --env second', /^ROUTE ID +TARGET\n/],
  ['oo token list', /admin/],
  ['oo env select local', /local/],
  ['oo env remove second', /second/],
];

seed("each line of the seed's CLI, in their order", async () => {
  write('definition.yaml', 'id: user-svc\n');
  for (const [line, says] of seedLines) {
    const typed = line.replace('$APP', `${apps[0].port}`).replace('$ADMIN', `${adminPort}`);
    const { code, out, err } = await sh(typed);
    assert.is(code, 0, `${line}: ${out}${err}`);
    const text = says.source === '^$' ? out : out + err;
    assert.ok(says.test(text), `${line} printed: ${text}`);
  }
});

seed('oo certs ls, of a server with HTTPS', async () => {
  const secure = await serve({ httpsPort: await freePort(), flags: ['--acme', 'off'] });
  await secure.ok('route', 'save', '--id', 'app.localhost', '--target', apps[0].target);
  for (let i = 0; i < 50 && !(await secure.ok('certs', 'ls', '-q')).out.includes('app.localhost'); i++)
    await sleep(100);
  const heads = /^CERT ID +CREATED AT +UPDATED AT +COMMON NAME +ISSUER +NOT BEFORE +NOT AFTER +SERIAL *\n/;
  const row =
    /^app\.localhost +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +app\.localhost +.*\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d +\w{8}\b/m;
  for (const line of ['oo certs ls', 'oo cert list', 'oo ce ls', 'oo certs list']) {
    const { code, out, err } = await sh(`OO_STATE_DIR=${secure.stateDir} ${line}`);
    assert.is(code, 0, err);
    assert.match(out, heads, line);
    assert.match(out, row, line);
  }
  assert.is((await secure.stop()).code, 0);
});

seed('curl is there', () => assert.is(spawnSync('curl', ['--version']).status, 0));

seed.run();
