import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { freePort, LOAD_CORE, listens, type Started, start } from './process.ts';

export const SMALL_BYTES = 1024;
export const LARGE_BYTES = 1024 * 1024;
export const UPLOAD_BYTES = 64 * 1024;

/** JSON as an API gives it: a list of records. */
export const JSON_BYTES = 64 * 1024;

/** Instances of a pool, and how much more the slow one takes for each answer, ms. */
export const INSTANCES = 10;
export const SLOW_MS = 50;

/** Debian's path; the module comes with nginx-light, and is what reads an uploaded body to its end before it answers. */
const ECHO_MODULE = '/usr/lib/nginx/modules/ngx_http_echo_module.so';

/** What nginx has counted since its start. */
export interface Counts {
  readonly connections: number;
  readonly requests: number;
}

/** The upstream under load: an nginx of its own on the load's core. */
export interface Upstream {
  readonly port: number;
  /** Ports on which it is the same, `port` first: the instances of a pool. */
  readonly ports: readonly string[];
  /** Here it is the same, too, but GET /who takes `SLOW_MS` longer. */
  readonly slowPort: string;
  readonly program: Started;
  readonly counts: () => Promise<Counts>;
}

/**
 * Serves, for any host: GET /small (1 KiB from memory), GET /large (1 MiB, sendfile), GET /json (64 KiB), POST /sink (reads all, then 204),
 * GET /who (its port as the body), and /status. Throws when nginx's echo module is missing.
 */
export async function startUpstream(dir: string): Promise<Upstream> {
  if (!existsSync(ECHO_MODULE)) {
    throw new Error(`${ECHO_MODULE} is missing: apt-get install libnginx-mod-http-echo`);
  }
  const ports: string[] = [];
  while (ports.length <= INSTANCES) ports.push(`${await freePort()}`);
  const slowPort = ports.pop()!;
  const port = Number(ports[0]);
  mkdirSync(join(dir, 'files'), { recursive: true });
  writeFileSync(join(dir, 'files', 'large'), randomBytes(LARGE_BYTES));
  writeFileSync(join(dir, 'files', 'json'), jsonOf(JSON_BYTES));
  const config = join(dir, 'nginx.conf');
  writeFileSync(
    config,
    `load_module ${ECHO_MODULE};
${nginxFrame(dir)}
  sendfile on;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 128k;
  server {
${ports.map((each) => `    listen 127.0.0.1:${each} backlog=4096;`).join('\n')}
    location = /small { default_type text/plain; return 200 "${'x'.repeat(SMALL_BYTES)}"; }
    location = /large { default_type application/octet-stream; root ${join(dir, 'files')}; }
    location = /json { default_type application/json; root ${join(dir, 'files')}; }
    location = /sink { echo_read_request_body; echo_status 204; }
    location = /who { return 200 $server_port; }
    location = /status { stub_status; }
  }
  server {
    listen 127.0.0.1:${slowPort} backlog=4096;
    location = /who { echo_sleep ${SLOW_MS / 1000}; echo -n $server_port; }
  }
}
`,
  );
  const program = start(['nginx', '-p', dir, '-c', config], LOAD_CORE);
  await listens(program, port);
  const counts = async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/status`)).text();
    const [connections, , requests] = /(\d+) (\d+) (\d+)/.exec(text)!.slice(1).map(Number);
    return { connections, requests };
  };
  return { port, ports, slowPort, program, counts };
}

function jsonOf(bytes: number): string {
  let text = '[';
  for (let id = 1; text.length < bytes; id++) {
    const record = {
      id,
      name: `item ${id}`,
      price: (id * 7919) % 10_000,
      etag: randomBytes(6).toString('hex'),
      tags: ['new', 'sale'],
    };
    text += `${JSON.stringify(record)},`;
  }
  // White space at the end makes it as long as it should be.
  return `${text.slice(0, text.lastIndexOf('},', bytes - 2) + 1)}]`.padEnd(bytes);
}

/** The beginning of an nginx configuration that needs nothing outside `dir`; `http {` stays open. */
export function nginxFrame(dir: string): string {
  // Started by root, its worker would become another user, who may not read this directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `${user}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${dir}/nginx.pid;
error_log stderr error;
events { worker_connections 19000; }
http {
  access_log off;
${temp.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}`;
}

/** One request as the upstream saw it. */
export interface Seen {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** An upstream that looks closely: it keeps what it saw, and answers with bytes that can be compared. */
export interface Witness {
  readonly port: number;
  readonly small: Buffer;
  readonly large: Buffer;
  /** Connections accepted so far. */
  readonly connections: () => number;
  readonly seen: Seen[];
  readonly close: () => void;
}

/** Starts the witness in this process. */
export async function startWitness(): Promise<Witness> {
  const small = randomBytes(SMALL_BYTES);
  const large = randomBytes(LARGE_BYTES);
  const seen: Seen[] = [];
  let connections = 0;
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ headers: request.headers, body: Buffer.concat(chunks) });
      const body = request.url === '/large' ? large : small;
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length }).end(body);
    });
  });
  server.keepAliveTimeout = 600_000;
  server.on('connection', () => connections++);
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { port, small, large, connections: () => connections, seen, close };
}
