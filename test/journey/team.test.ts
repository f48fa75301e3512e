// time limit: 180 s
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { fetched } from './https.ts';
import { pemFile } from './https-clients.ts';
import { startLoad } from './load.ts';
import { executable, freePort, get, type Program, type Ran, run, serve, start } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// A team's first day with oo: one machine with nothing on it but the executable, files in a directory, mistakes, and the way back.
const team = suite('a team');

let home: string;
let stateDir: string;
let server: Program;
let ports: { http: number; https: number; admin: number };
let shop: Upstream;
let api: Upstream;
let blog: Upstream;
/** PEM file of the local CA's root. */
let caFile: string;
/** The revision at which everything was right. */
let good: number;

/** A line, as it is typed in the home directory: words by spaces; nothing else is in its environment. */
function oo(line: string, env: Record<string, string> = {}, input = ''): Promise<Ran> {
  const program = join(home, 'bin/oo');
  const options = { program, cwd: home, env: { HOME: home, OO_STATE_DIR: stateDir, ...env }, input };
  return run(line.split(' '), options);
}

async function ok(line: string, env: Record<string, string> = {}, input = ''): Promise<Ran> {
  const ran = await oo(line, env, input);
  assert.is(ran.code, 0, `oo ${line}: ${ran.out}${ran.err}`);
  return ran;
}

function write(name: string, text: string): void {
  mkdirSync(dirname(join(home, name)), { recursive: true });
  writeFileSync(join(home, name), text);
}

const configFile = 'config/shop.yaml';
const shopText = () => `# The shop, and what belongs to it.
owner: shop
routes:
  - id: shop.localhost      # the front
    target: http://${shop.target}
    http: allow
  - id: shop.localhost/api  # longest prefix
    target: service://shop-api
    http: allow
  - id: "*.localhost"       # whatever else there is
    target: http://${blog.target}
    http: allow
services:
  - id: shop-api
    balance: least-requests
settings:
  historyRevisions: 200
`;

const ownText = () => `routes:
  - id: own.example.com
    target: http://${blog.target}
    http: allow
certificates:
  - cert: ./own.pem
    key: ./own.key
`;

async function revision(): Promise<number> {
  const [newest] = JSON.parse((await ok('history -o json')).out) as { revision: number }[];
  return newest.revision;
}

const page = async (host: string, path = '/') => (await get(ports.http, path, { host })).text;

team.before(async () => {
  [shop, api, blog] = [await startUpstream('shop'), await startUpstream('api'), await startUpstream('blog')];
  home = temporary();
  stateDir = join(home, 'state');
  mkdirSync(join(home, 'bin'));
  copyFileSync(executable, join(home, 'bin/oo'));
  ports = { http: await freePort(), https: await freePort(), admin: await freePort() };
  const own = makeCertificate('DNS:own.example.com');
  write('config/own.pem', own.cert);
  write('config/own.key', own.key);
});

team.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  assert.is(code, 0, server.err());
});

team('the executable alone is started on an empty machine', async () => {
  const flags = ['--http-port', `${ports.http}`, '--https-port', `${ports.https}`, '--admin-port', `${ports.admin}`];
  const env = { HOME: home, OO_STATE_DIR: stateDir };
  server = start(['serve', ...flags, '--acme', 'off'], { program: join(home, 'bin/oo'), cwd: home, env });
  await until(() => server.hasEnded() || server.err().includes('oo listens'), 'the greeting', 20_000);
  assert.not(server.hasEnded(), server.err());
  assert.is((await ok('routes ls -q')).out, '');
});

team('three hosts, a service, settings and an own certificate by one apply', async () => {
  write(configFile, shopText());
  write('config/own.yaml', ownText());
  const seen = await oo('diff ./config --owner shop');
  assert.is(seen.code, 1, seen.err);
  assert.match(seen.out, /^\+.*shop\.localhost/m);
  assert.is((await ok('routes ls -q')).out, '', 'a diff changes nothing');
  const applied = await ok('apply ./config --owner shop');
  for (const made of ['route shop.localhost', 'route own.example.com', 'service shop-api', 'settings'])
    assert.match(applied.out, new RegExp(`${made}`));
  await ok(`instance save --slug shop-api --url http://${api.target} --ttl 1h`);
  assert.equal(
    [await page('shop.localhost'), await page('shop.localhost', '/api/x'), await page('other.localhost')],
    ['shop', 'api', 'blog'],
  );
  caFile = pemFile((await ok('trust --print')).out);
  assert.is((await fetched('https://shop.localhost/', ports.https, caFile)).body, 'shop');
  const ownCa = pemFile(readFileSync(join(home, 'config/own.pem'), 'utf8'));
  assert.is((await fetched('https://own.example.com/', ports.https, ownCa)).body, 'blog');
  const again = await ok('apply ./config --owner shop');
  assert.not.match(again.out, /created|updated|removed/);
  assert.is((await oo('diff ./config --owner shop')).code, 0);
  good = await revision();
});

team('a mistake is refused with its file and line, and nothing of the rest is made', async () => {
  write(configFile, shopText().replace(`http://${shop.target}`, 'htp://nowhere').replace('least-requests', 'random'));
  for (const line of ['apply ./config --owner shop', 'apply ./config --owner shop --dry-run']) {
    const refused = await oo(line);
    assert.is(refused.code, 1);
    assert.match(refused.err, /config\/shop\.yaml:5: .*htp/);
    assert.match(refused.err, /nothing was/);
  }
  assert.is((await oo('diff ./config --owner shop')).code, 2);
  assert.is(await revision(), good);
  assert.is(await page('shop.localhost'), 'shop');
});

team('a bad change is seen in the diff; who applies it all the same goes back', async () => {
  write(configFile, shopText().replace('id: shop.localhost/api ', 'id: shop.localhost/apis'));
  const load = startLoad(ports.http, 100, 'shop.localhost');
  const seen = await oo('diff ./config --owner shop --prune');
  assert.is(seen.code, 1, seen.err);
  assert.match(seen.out, /^-.*shop\.localhost\/api$/m);
  assert.match(seen.out, /^\+.*shop\.localhost\/apis$/m);
  assert.is(await page('shop.localhost', '/api/x'), 'api');

  await ok('apply ./config --owner shop --prune --reason typo');
  assert.is(await page('shop.localhost', '/api/x'), 'shop');
  const bad = await revision();
  assert.is(bad, good + 1);
  assert.match((await ok('history')).out, new RegExp(`@${bad} .*typo`));
  assert.match((await ok(`history @${bad}`)).out, /shop\.localhost\/apis/);
  assert.match((await ok(`routes ls --at @${good}`)).out, /^shop\.localhost\/api /m);
  assert.not.match((await ok('routes ls')).out, /^shop\.localhost\/api /m);
  const between = await oo(`diff @${good} @${bad}`);
  assert.is(between.code, 1);
  assert.match(between.out, /shop\.localhost\/apis/);

  await ok(`rollback @${good} --reason oops`);
  assert.is(await page('shop.localhost', '/api/x'), 'api');
  assert.is(await revision(), bad + 1);
  assert.is((await oo(`diff @${good} @${bad + 1}`)).code, 0);
  const samples = await load.stop();
  assert.ok(samples.length > 20);
  assert.equal(
    samples.filter(({ status, text }) => status !== 200 || text !== 'shop'),
    [],
  );
  write(configFile, shopText());
  assert.is((await oo('diff ./config --owner shop --prune')).code, 0);
});

team('explain tells why a request goes where nobody thought', async () => {
  const http = `:${ports.http}`;
  const longest = await ok(`explain http://shop.localhost${http}/api/users`);
  assert.match(longest.out, /service shop-api|service:\/\/shop-api/);
  assert.match(longest.out, /shop\.localhost\/api/);
  assert.match(longest.out, new RegExp(api.target));
  // Whole segments: /apis is not below /api.
  const near = await ok(`explain http://shop.localhost${http}/apis`);
  assert.match(near.out, /^route +shop\.localhost /m);
  assert.match(near.out, /shop\.localhost\/api .*/);
  const wild = await ok(`explain http://typo.localhost${http}/`);
  assert.match(wild.out, /^route +\*\.localhost /m);
  const none = await oo(`explain http://unknown.example.com${http}/`);
  assert.is(none.code, 1);
  assert.match(none.out, /404/);
});

team('prune takes away what is the owner’s alone', async () => {
  write('blog.yaml', `id: blog.localhost\ntarget: http://${blog.target}\nhttp: allow\n`);
  await ok('apply blog.yaml --owner blog');
  await ok(`route save --id mine.localhost --target ${blog.target}`);
  rmSync(join(home, 'config/own.yaml'));
  await ok('apply ./config --owner shop');
  assert.match((await ok('routes ls -q')).out, /own\.example\.com/, 'without --prune it stays');
  const planned = await ok('apply ./config --owner shop --prune --dry-run');
  assert.match(planned.out, /own\.example\.com/);
  await ok('apply ./config --owner shop --prune');
  const left = (await ok('routes ls -q')).out.trim().split('\n').sort();
  assert.equal(left, ['*.localhost', 'blog.localhost', 'mine.localhost', 'shop.localhost', 'shop.localhost/api']);
  const taken = await oo('apply ./config/shop.yaml --owner blog');
  assert.is(taken.code, 1);
  assert.match(taken.err, /config\/shop\.yaml:\d+: .*shop/);
});

team('what is exported, another server takes, and has the same', async () => {
  await ok('export oo.yaml');
  const other = await serve();
  const applied = await run(['apply', 'oo.yaml', '--state-dir', other.stateDir], { cwd: home });
  assert.is(applied.code, 0, applied.err);
  const state = (text: string) => {
    const { revision: _, ...rest } = JSON.parse(text);
    return rest;
  };
  const [here, there] = [await ok('export -o json'), await other.ok('export', '-o', 'json')];
  assert.equal(state(there.out), state(here.out));
  assert.is((await other.cli('diff', join(home, 'oo.yaml'))).code, 0);
  assert.is((await other.stop()).code, 0);
});

team('a token with few scopes over the network: what it may not ends with 4', async () => {
  const url = `http://127.0.0.1:${ports.admin}`;
  const token = (await ok('token create --scope routes:read --note ci -q')).out.trim();
  await ok(`context add edge ${url}`);
  assert.is(statSync(join(home, '.config/oo/config.json')).mode & 0o777, 0o600);
  await ok('login edge', {}, `${token}\n`);
  assert.match((await ok('routes ls -q -e edge')).out, /shop\.localhost/);
  assert.match((await ok('whoami -e edge')).out, /routes:read/);
  const before = await revision();
  for (const line of [
    'route rm shop.localhost -e edge',
    'apply ./config -e edge',
    'token ls -e edge',
    'audit -e edge',
  ]) {
    const refused = await oo(line);
    assert.is(refused.code, 4, `oo ${line}: ${refused.out}${refused.err}`);
    assert.match(refused.err, /scope|may not|routes:write|admin/, line);
  }
  assert.is(
    (await oo('routes ls -e edge', { OO_TOKEN: 'oo_nonsense' })).code,
    0,
    "the context's token is its server's",
  );
  assert.is((await oo(`routes ls --server ${url}`)).code, 4, 'no token');
  assert.is(await revision(), before);
  const writer = (await ok('token create --scope routes:write -q')).out.trim();
  await ok(`route save --id net.localhost --target ${blog.target} --http allow --server ${url}`, { OO_TOKEN: writer });
  assert.is(await page('net.localhost'), 'blog');
  assert.match((await ok('history -n 1')).out, /token:tok_/);
});

team('the audit log has who did what; events tell it as it happens', async () => {
  const audit = (await ok('audit -n 100')).out;
  assert.match(audit, /token:tok_/);
  const events = start(['events', '-o', 'json', '--state-dir', stateDir], { program: join(home, 'bin/oo'), cwd: home });
  for (let i = 0; i < 20 && !events.out().includes('seen.localhost'); i++)
    await ok(`route save --id seen.localhost --target 127.0.0.1:${9000 + i}`);
  await until(() => events.out().includes('seen.localhost'), `the event; ${events.out()}${events.err()}`);
  events.signal('SIGTERM');
  await events.ended;
});

team.run();
