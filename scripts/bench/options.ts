import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { type Load, load, measure, type Round } from './load.ts';
import { type MoreRoute, startOo } from './oo.ts';
import { type Contender, NGINX_DOWNLOAD, NGINX_LOAD, nginxLocation, PEERS, type Setup, startPeer } from './proxy.ts';
import { ratios, table } from './report.ts';
import { median, spread } from './stats.ts';
import { JSON_BYTES, SMALL_BYTES, type Upstream } from './upstream.ts';

/** A route, and what nginx is told for the same. */
interface OptionCase {
  readonly name: string;
  readonly id: string;
  /** Options of the route. */
  readonly route: Readonly<Record<string, unknown>>;
  /** What nginx is told, in its `http` block and in the location; its own directives, by name in the report. */
  readonly nginx: { readonly title: string; readonly http?: string; readonly location: string };
  readonly path: string;
  /** Lines of all requests. */
  readonly headers: readonly string[];
  /** The case whose CPU time is 1. */
  readonly base: string;
  /** A field of its answers that shows that the option is at work. */
  readonly shows?: readonly [name: string, value: string];
  /** What those are answered who come without `headers`. */
  readonly without?: number;
}

const [WARM_SECONDS, WARM_EACH_SECONDS] = [5, 1];

const PLAIN = 'plain';
const PLAIN_JSON = 'plain, 64 KiB JSON';
/** The plain route of a server that has no options at all. */
const ALONE = 'plain, in a table without options';

const USER = 'ann';
const PASSWORD = 'correct horse battery staple';
const ORIGIN = 'https://app.example.com';
const denied = Array.from({ length: 10 }, (_, i) => `10.${i}.0.0/16`);
const allowed = ['127.0.0.0/8', '192.168.0.0/16', '172.16.0.0/12'];
const acceptsGzip = ['Accept-Encoding: gzip'];

/**
 * The cases. @param hash what `oo hash` makes of PASSWORD
 * @param passwords nginx's file of users
 */
function casesOf(hash: string, passwords: string): OptionCase[] {
  const small = (name: string, rest: Pick<OptionCase, 'route' | 'nginx'> & Partial<OptionCase>): OptionCase => ({
    name,
    id: `${name.replace(/\W+/g, '-').toLowerCase()}.options.example.com`,
    path: '/small',
    headers: [],
    base: PLAIN,
    ...rest,
  });
  const json = { path: '/json', base: PLAIN_JSON, headers: acceptsGzip };
  return [
    small(PLAIN, { route: {}, nginx: { title: '', location: '' } }),
    small('stripPrefix', {
      id: 'strip.options.example.com/app',
      ...{ route: { stripPrefix: true }, path: '/app/small' },
      nginx: { title: 'rewrite', location: '      rewrite ^/app/(.*)$ /$1 break;\n' },
    }),
    small('requestHeaders and responseHeaders', {
      route: {
        requestHeaders: { remove: ['x-secret'], set: { 'x-tier': 'gold' } },
        responseHeaders: { remove: ['x-powered-by'], set: { 'x-frame-options': 'DENY' } },
      },
      nginx: {
        title: 'proxy_set_header, proxy_hide_header, add_header',
        location: `      proxy_set_header X-Secret "";
      proxy_set_header X-Tier gold;
      proxy_hide_header X-Powered-By;
      add_header X-Frame-Options DENY always;
`,
      },
      shows: ['x-frame-options', 'DENY'],
    }),
    small('access, 13 networks', {
      route: { access: { allow: allowed, deny: denied } },
      nginx: {
        title: 'deny, allow',
        location: `${denied.map((each) => `      deny ${each};\n`).join('')}${allowed.map((each) => `      allow ${each};\n`).join('')}      deny all;\n`,
      },
    }),
    small('rateLimit by address', {
      route: { rateLimit: { requests: 1_000_000, perMs: 1_000, burst: 1_000_000 } },
      nginx: {
        title: 'limit_req',
        http: '  limit_req_zone $binary_remote_addr zone=rate:10m rate=1000000r/s;\n',
        location: '      limit_req zone=rate burst=1000000 nodelay;\n',
      },
    }),
    small('cors', {
      route: { cors: { origins: [ORIGIN] } },
      nginx: {
        title: 'map, add_header',
        http: `  map $http_origin $cors_origin { "${ORIGIN}" $http_origin; }\n`,
        location: `      add_header Access-Control-Allow-Origin $cors_origin always;\n      add_header Vary Origin always;\n`,
      },
      ...{ headers: [`Origin: ${ORIGIN}`], shows: ['access-control-allow-origin', ORIGIN] },
    }),
    small('basicAuth, remembered', {
      route: { basicAuth: { users: { [USER]: hash } } },
      nginx: {
        title: 'auth_basic, {SHA}',
        location: `      auth_basic oo;\n      auth_basic_user_file ${passwords};\n`,
      },
      headers: [`Authorization: Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`],
      without: 401,
    }),
    small(PLAIN_JSON, { ...json, route: {}, nginx: { title: '', location: NGINX_DOWNLOAD } }),
    small('compress, 64 KiB JSON, gzip 5', {
      ...json,
      route: { compress: { codings: ['gzip'] } },
      nginx: {
        title: 'gzip, gzip_comp_level 5',
        location: `${NGINX_DOWNLOAD}      gzip on;\n      gzip_comp_level 5;\n      gzip_types application/json;\n      gzip_vary on;\n`,
      },
      shows: ['content-encoding', 'gzip'],
    }),
  ];
}

/** What turns are taken at, and what came of it. */
type TakeTurns = (
  what: Load,
  proxies: readonly Contender[],
  once: (proxy: Contender, seconds: number) => Promise<Round>,
  warmSeconds: number,
) => Promise<Map<string, Round[]>>;

/** The section, and CPU of the plain route beside routes with options to that of one in a table that has none, by rounds. */
export interface OptionsResult {
  readonly section: string;
  readonly plain: readonly number[];
}

/**
 * What a route's options cost: one server has all routes, and is asked for one host after the other; nginx, where it is among `peers`,
 * the same. Throws where an option is seen not to be at work.
 */
export async function measureOptions(
  command: readonly string[],
  setup: (name: string) => Setup,
  peers: readonly string[],
  upstream: Upstream,
  dir: string,
  takeTurns: TakeTurns,
): Promise<OptionsResult> {
  const cases = casesOf(hashOf(command), writePasswords(dir));
  const routes = cases.map(({ id, route }): MoreRoute => {
    return { id, target: `http://127.0.0.1:${upstream.port}`, http: 'allow', ...route };
  });
  const [plain] = routes;
  const alone = await startOo(command, setup('no-options'), 0, ALONE, [plain]);
  const oo = await startOo(command, setup('options'), 0, 'oo', routes);
  const servers = [oo];
  const nginxServers = (port: number) => serversOf(cases, port);
  if (peers.includes('nginx')) servers.push(await startPeer(PEERS.nginx, { ...setup('nginx-options'), nginxServers }));

  const found = new Map<string, OptionCase>([[ALONE, cases[0]]]);
  const contenders = [alone];
  for (const each of cases) {
    for (const server of servers) {
      await check(server, each);
      const name = nameOf(server.name, each.name);
      found.set(name, each);
      contenders.push({ ...server, name });
    }
  }
  const what = load('options', 'Route options', {});
  const once = async (proxy: Contender, seconds: number): Promise<Round> => {
    const each = found.get(proxy.name)!;
    // A password that has been right is remembered for a minute: asked once more, none of the load is left to be compared.
    await ask(proxy, each, true);
    return measure(proxy, loadOf(each), upstream, seconds, dir);
  };
  // The other server has its warm-up from all the cases together.
  await once(alone, WARM_SECONDS);
  const rounds = await takeTurns(what, contenders, once, WARM_EACH_SECONDS);
  for (const { program } of [alone, ...servers]) await program.stop();
  const measured = { what, base: ALONE, rounds };
  return { section: sectionOf(cases, rounds), plain: ratios(measured, nameOf('oo', PLAIN), ALONE) };
}

const nameOf = (server: string, name: string) => `${server}: ${name}`;
const hostOf = ({ id }: OptionCase) => id.split('/')[0];

function loadOf(each: OptionCase): Load {
  const { path, headers } = each;
  const bytes = path === '/json' ? JSON_BYTES : SMALL_BYTES;
  const answerBytes = each.route.compress === undefined ? bytes : SMALL_BYTES;
  return load('options', each.name, { host: hostOf(each), path, headers, answerBytes });
}

function serversOf(cases: readonly OptionCase[], port: number): string {
  const servers = cases
    .map(
      (each) => `${each.nginx.http ?? ''}  server {
    listen 127.0.0.1:${port};
    server_name ${hostOf(each)};
${nginxLocation('/', NGINX_LOAD, each.nginx.location)}
  }`,
    )
    .join('\n');
  return `  server_names_hash_bucket_size 128;\n${servers}`;
}

function hashOf(command: readonly string[]): string {
  const [program, ...args] = command;
  const { status, stdout, stderr } = spawnSync(program, [...args, 'hash'], { input: PASSWORD, encoding: 'utf8' });
  if (status !== 0) throw new Error(`oo hash ended with ${status}: ${stderr}`);
  return stdout.trim();
}

/** The format of those that nginx knows that costs it least: it compares anew for each request. */
function writePasswords(dir: string): string {
  const path = join(dir, 'passwords');
  writeFileSync(path, `${USER}:{SHA}${createHash('sha1').update(PASSWORD).digest('base64')}\n`);
  return path;
}

async function check(proxy: Contender, each: OptionCase): Promise<void> {
  const answer = await ask(proxy, each, true);
  const [name, value] = each.shows ?? [];
  if (answer.status !== 200) throw new Error(`${proxy.name}, ${each.name}: it was answered ${answer.status}`);
  if (name !== undefined && answer.headers[name] !== value)
    throw new Error(`${proxy.name}, ${each.name}: ${name} is ${answer.headers[name]}, not ${value}`);
  if (each.without === undefined) return;
  const { status } = await ask(proxy, each, false);
  if (status !== each.without)
    throw new Error(`${proxy.name}, ${each.name}: who lacks the field is answered ${status}`);
}

function ask(
  { port }: Contender,
  each: OptionCase,
  full: boolean,
): Promise<{ status: number | undefined; headers: http.IncomingHttpHeaders }> {
  const lines = full ? each.headers.map((line) => line.split(': ')) : [];
  const headers = { host: hostOf(each), ...Object.fromEntries(lines) };
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: each.path, headers, timeout: 10_000 };
    const request = http.get(options, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers }));
    });
    request.on('timeout', () => request.destroy(new Error(`${each.id} was not answered in 10 s`)));
    request.on('error', reject);
  });
}

function sectionOf(cases: readonly OptionCase[], rounds: ReadonlyMap<string, readonly Round[]>): string {
  const cell = (values: readonly number[], digits: number) =>
    `${median(values).toFixed(digits)} (${spread(values, digits)})`;
  const cpu = (name: string) => {
    const each = rounds.get(name);
    return each === undefined
      ? ''
      : cell(
          each.map(({ cpuUs }) => cpuUs),
          2,
        );
  };
  const ratio = (name: string, base: string) => {
    if (name === base || !rounds.has(name) || !rounds.has(base)) return '';
    return cell(ratios({ what: load('options', '', {}), base, rounds }, name, base), 3);
  };
  const rows = cases.map(({ name, base, nginx }) => {
    const [oo, peer] = [nameOf('oo', name), nameOf('nginx', name)];
    const own = [cpu(oo), ratio(oo, nameOf('oo', base))];
    const others = [cpu(peer), ratio(peer, nameOf('nginx', base))];
    return [name, ...own, nginx.title, ...others, ratio(oo, peer)];
  });
  const first = [ALONE, cpu(ALONE), ratio(ALONE, nameOf('oo', PLAIN)), '', '', '', ''];
  const head = [
    'route',
    'oo: CPU µs',
    'to its plain one',
    'nginx with',
    'nginx: CPU µs',
    'to its plain one',
    'oo to nginx',
  ];
  return `### Route options: small GET, where nothing else is said\n\n${table(head, [first, ...rows])}\n`;
}
