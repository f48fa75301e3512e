import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECTIONS, type Counted, type Load } from './load.ts';
import { hostOf } from './oo.ts';
import { run } from './process.ts';
import { type Contender, TLS_CIPHER, TLS_GROUP, TLS_NAME } from './proxy.ts';

interface WrkResult {
  readonly requests: number;
  readonly bytes: number;
  readonly us: number;
  readonly p99: number;
  /** wrk counts an answer other than 2xx and 3xx as a status error. */
  readonly errors: Readonly<Record<'connect' | 'read' | 'write' | 'status' | 'timeout', number>>;
}

/** HTTP/1.1 over kept connections, plain or over TLS. @throws with wrk's output where it can't be run */
export async function wrk(proxy: Contender, what: Load, seconds: number, dir: string): Promise<Counted> {
  const origin = what.protocol === 'http' ? `http://127.0.0.1:${proxy.port}` : `https://${TLS_NAME}:${proxy.tlsPort}`;
  const flags = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '30s', '-s', writeScript(what, dir)];
  const headers = [`Host: ${what.host}`, ...what.headers].flatMap((line) => ['-H', line]);
  const output = await run(['wrk', ...flags, ...headers, origin + what.path], {
    OPENSSL_CONF: writeTlsSettings(dir),
  });
  const said = /^BENCH (.*)$/m.exec(output)?.[1];
  if (said === undefined) throw new Error(output);
  const { requests, bytes, us, p99, errors } = JSON.parse(said) as WrkResult;
  return { requests, bytes, seconds: us / 1e6, p99Ms: p99 / 1000, errors };
}

/** wrk has no flags for TLS, but asks OpenSSL for the system's settings. */
function writeTlsSettings(dir: string): string {
  const path = join(dir, 'openssl.cnf');
  writeFileSync(
    path,
    `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = client
[client]
MinProtocol = TLSv1.3
Ciphersuites = ${TLS_CIPHER}
Groups = ${TLS_GROUP}
`,
  );
  return path;
}

/** Only `done` and, for many hosts or cookies, `request` are Lua: wrk sends the same bytes again without asking it otherwise. */
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
  const cookies = `local requests = {}
init = function(args)
  for i, cookie in ipairs({ ${what.cookies.map((line) => JSON.stringify(line)).join(', ')} }) do
    requests[i] = wrk.format("GET", "${what.path}", { Host = "${what.host}", Cookie = cookie })
  end
end
request = function() return requests[math.random(1, ${what.cookies.length})] end
`;
  const many = what.cookies.length > 0 ? cookies : what.hosts > 0 ? hosts : '';
  const path = join(dir, `wrk-${what.id}-${what.hosts}.lua`);
  writeFileSync(
    path,
    `${what.uploadBytes > 0 ? post : ''}${many}done = function(summary, latency)
  local e = summary.errors
  print(string.format('BENCH {"requests":%d,"bytes":%d,"us":%d,"p99":%d,"errors":{'
    .. '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}', summary.requests, summary.bytes,
    summary.duration, latency:percentile(99), e.connect, e.read, e.write, e.status, e.timeout))
end
`,
  );
  return path;
}
