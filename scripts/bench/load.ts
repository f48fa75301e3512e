import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostOf } from './oo.ts';
import { coreBusy, cpuBetween, cpuOf, run } from './process.ts';
import { type Contender, LOAD_HOST } from './proxy.ts';
import { LARGE_BYTES, SMALL_BYTES, UPLOAD_BYTES, type Upstream } from './upstream.ts';

/** Client connections of every load. */
export const CONNECTIONS = 64;

/** One kind of load. */
export interface Load {
  readonly id: string;
  readonly title: string;
  readonly path: string;
  /** Body bytes of each answer. */
  readonly answerBytes: number;
  /** Body bytes of each request: sent as POST when more than 0. */
  readonly uploadBytes: number;
  /** Requests name this many hosts (`hostOf`) at random; 0: LOAD_HOST only. */
  readonly hosts: number;
}

const load = (id: string, title: string, rest: Partial<Load>): Load => ({
  id,
  title,
  path: '/small',
  answerBytes: SMALL_BYTES,
  uploadBytes: 0,
  hosts: 0,
  ...rest,
});

export const SMALL_GET = load('get', 'Small GET (1 KiB answer), keep-alive', {});
export const DOWNLOAD = load('download', '1 MiB download', { path: '/large', answerBytes: LARGE_BYTES });
export const UPLOAD = load('upload', '64 KiB upload', { path: '/sink', answerBytes: 0, uploadBytes: UPLOAD_BYTES });
/** Small GETs to `hosts` names at random. */
export const manyHosts = (hosts: number): Load => load('routes', `Small GET to ${hosts} hosts at random`, { hosts });

/** What one round of load on one proxy cost. */
export interface Round {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of all the proxy's processes per request. */
  readonly cpuUs: number;
  readonly requestsPerSecond: number;
  /** Share of one core that the proxy used, 0 to 1. */
  readonly busy: number;
  /** Share of that core that went to programs that are none of the bench's: near 0 on a quiet machine. */
  readonly others: number;
  readonly p99Ms: number;
}

/**
 * Loads one proxy with wrk and measures it.
 * Throws where the answers are wrong, or where the proxy is not alike: connections not kept, requests not passed on.
 */
export async function measure(
  proxy: Contender,
  what: Load,
  upstream: Upstream,
  seconds: number,
  dir: string,
): Promise<Round> {
  const script = writeScript(what, dir);
  const url = `http://127.0.0.1:${proxy.port}${what.path}`;
  const before = await upstream.counts();
  const cpuBefore = cpuOf(proxy.program.pid);
  const busyBefore = coreBusy();
  const started = performance.now();
  const command = [
    'wrk',
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${seconds}s`,
    '--timeout',
    '30s',
    '-s',
    script,
    '-H',
    `Host: ${LOAD_HOST}`,
    url,
  ];
  const output = await run(command);
  const elapsedNs = (performance.now() - started) * 1e6;
  const cpuNs = cpuBetween(cpuBefore, cpuOf(proxy.program.pid));
  const othersNs = Math.max(0, coreBusy() - busyBefore - cpuNs);
  const after = await upstream.counts();
  const result = JSON.parse(/^BENCH (.*)$/m.exec(output)?.[1] ?? fault(proxy, what, output)) as WrkResult;
  check(proxy, what, result, {
    connections: after.connections - before.connections,
    requests: after.requests - before.requests,
  });
  const wrkSeconds = result.us / 1e6;
  return {
    requests: result.requests,
    seconds: wrkSeconds,
    cpuUs: cpuNs / 1000 / result.requests,
    requestsPerSecond: result.requests / wrkSeconds,
    busy: cpuNs / elapsedNs,
    others: othersNs / elapsedNs,
    p99Ms: result.p99 / 1000,
  };
}

interface WrkResult {
  readonly requests: number;
  readonly bytes: number;
  readonly us: number;
  readonly p99: number;
  readonly errors: Readonly<Record<'connect' | 'read' | 'write' | 'status' | 'timeout', number>>;
}

function check(
  proxy: Contender,
  what: Load,
  result: WrkResult,
  upstream: { connections: number; requests: number },
): void {
  if (result.requests === 0) fault(proxy, what, 'no request was answered');
  const errors = Object.entries(result.errors).filter(([, count]) => count > 0);
  // wrk counts an answer other than 2xx and 3xx as a status error.
  if (errors.length > 0)
    fault(proxy, what, `errors in ${result.requests} requests: ${errors.join(' ').replaceAll(',', ' ')}`);
  if (result.bytes < result.requests * what.answerBytes) {
    fault(proxy, what, `${result.requests} answers had ${result.bytes} bytes: too few`);
  }
  if (upstream.requests < result.requests) {
    fault(proxy, what, `${result.requests} requests answered, only ${upstream.requests} reached the upstream`);
  }
  // One upstream connection for each client connection, some slack for those that were being opened meanwhile.
  if (upstream.connections > CONNECTIONS * 2) {
    fault(proxy, what, `${upstream.connections} upstream connections for ${result.requests} requests: not kept alive`);
  }
}

function fault(proxy: Contender, what: Load, message: string): never {
  throw new Error(`${proxy.name}, ${what.title}: ${message}`);
}

/** Only `done` and, for many hosts, `request` are Lua: wrk sends the same bytes again without asking it otherwise. */
function writeScript(what: Load, dir: string): string {
  const post = `wrk.method = "POST"\nwrk.body = string.rep("u", ${what.uploadBytes})\n`;
  const hosts = `local requests = {}
init = function(args)
  for i = 0, ${what.hosts - 1} do
    requests[i] = wrk.format("GET", "${what.path}", { Host = string.gsub("${hostOf(-1)}", "-1", i) })
  end
end
request = function() return requests[math.random(0, ${what.hosts - 1})] end
`;
  const path = join(dir, `wrk-${what.id}-${what.hosts}.lua`);
  writeFileSync(
    path,
    `${what.uploadBytes > 0 ? post : ''}${what.hosts > 0 ? hosts : ''}done = function(summary, latency)
  local e = summary.errors
  print(string.format('BENCH {"requests":%d,"bytes":%d,"us":%d,"p99":%d,"errors":{'
    .. '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}', summary.requests, summary.bytes,
    summary.duration, latency:percentile(99), e.connect, e.read, e.write, e.status, e.timeout))
end
`,
  );
  return path;
}
