import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { executable, freePort, type Program, start } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// The examples of the seed's document, word for word but for the ports, typed into a shell.
const seed = suite("the seed's document");

const home = temporary();
let server: Program;
let apps: Upstream[];
let port: number;

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
  port = await freePort();
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
    OB_SELF_URL: `http://127.0.0.1:${await freePort()}`,
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

seed('curl is there', () => assert.is(spawnSync('curl', ['--version']).status, 0));

seed.run();
