import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.ts';
import { temporary } from './temporary.ts';

const startMs = 20_000;
const attempts = 4;

export interface PebbleOptions {
  /** Where it looks for HTTP-01 answers; default: a free port, see `Pebble.httpPort`. */
  readonly httpPort?: number;
  /** Where it looks for TLS-ALPN-01 answers; default: a free port. */
  readonly tlsPort?: number;
  /** Seconds; default five years. Pebble dates certificates from now, with no back-dating. */
  readonly certificateValidityPeriod?: number;
  /** Percent of good nonces that it refuses; default 0 (pebble's own: 5). */
  readonly nonceReject?: number;
  /** Percent of valid authorizations that a new order gets again; default 0 (pebble's own: 50). */
  readonly authzReuse?: number;
  /** Waits up to so many seconds before it looks for a challenge's answer; default 0: at once. */
  readonly validationSleepS?: number;
  /** External accounts: key identifier → HMAC key in base64url. With any, an account needs one. */
  readonly eab?: Readonly<Record<string, string>>;
  /** More variables of pebble's: PEBBLE_ALTERNATE_ROOTS, PEBBLE_CHAIN_LENGTH, PEBBLE_VA_ALWAYS_VALID … */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a name resolves to, for pebble only. */
export interface DnsAnswer {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  /** Pebble 2.4 does not look at CAA; a program that asks `dnsPort` by itself sees them. */
  readonly caa?: readonly { readonly tag: 'issue' | 'issuewild' | 'iodef'; readonly value: string }[];
  readonly servfail?: boolean;
}

/** A running pebble with a DNS server of its own; any name that was not set resolves to 127.0.0.1. */
export interface Pebble {
  /** `https://127.0.0.1:PORT/dir` */
  readonly directory: string;
  /** PEM of the authority of its API's own certificate: as a file, and its text. */
  readonly caFile: string;
  readonly ca: string;
  readonly apiPort: number;
  readonly httpPort: number;
  readonly tlsPort: number;
  /** UDP and TCP, on 127.0.0.1. */
  readonly dnsPort: number;
  /** The DNS server's management API, for a DNS-01 hook: POST `/set-txt` {host, value}, `/clear-txt` {host}. */
  readonly dnsApi: string;
  /** PEM of the root that certificates chain to: for a client's trust. It changes when pebble is started again. */
  root(): Promise<string>;
  intermediate(): Promise<string>;
  setDns(name: string, answer: DnsAnswer): Promise<void>;
  /** Back to 127.0.0.1. */
  clearDns(name: string): Promise<void>;
  /** What pebble has written so far. */
  log(): string;
  /** Ends pebble; its DNS stays. Connections to it are refused then. */
  stop(): Promise<void>;
  /** Starts it again on the same ports; it has forgotten all accounts and orders, and has a new root. */
  startAgain(): Promise<void>;
  /** It takes connections, and answers nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends both processes. They don't keep this process up, and end with it, however it ends: a suite need not call this. */
  close(): void;
}

/** Starts pebble and pebble-challtestsrv (Debian's package pebble) on free loopback ports. */
export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  let last: unknown;
  // A port that was free can be taken in between: with other ports, then.
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      return await start(options);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

async function start(options: PebbleOptions): Promise<Pebble> {
  const [apiPort, managementPort, httpPort, tlsPort, dnsPort, dnsApiPort] = await Promise.all([
    freePort(),
    freePort(),
    options.httpPort ?? freePort(),
    options.tlsPort ?? freePort(),
    freePort(),
    freePort(),
  ]);
  const directory = temporary();
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o644 });
    return join(directory, name);
  };
  const own = makeCertificate('DNS:localhost', 'IP:127.0.0.1');
  const caFile = file('ca.pem', own.cert);
  const config = file(
    'pebble.json',
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${apiPort}`,
        managementListenAddress: `127.0.0.1:${managementPort}`,
        certificate: caFile,
        privateKey: file('key.pem', own.key),
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: options.eab !== undefined,
        externalAccountMACKeys: options.eab ?? {},
        ...(options.certificateValidityPeriod === undefined
          ? {}
          : { certificateValidityPeriod: options.certificateValidityPeriod }),
      },
    }),
  );
  const env = {
    ...process.env,
    ...(options.validationSleepS ? { PEBBLE_VA_SLEEPTIME: `${options.validationSleepS}` } : { PEBBLE_VA_NOSLEEP: '1' }),
    PEBBLE_WFE_NONCEREJECT: `${options.nonceReject ?? 0}`,
    PEBBLE_AUTHZREUSE: `${options.authzReuse ?? 0}`,
    ...options.env,
  };

  const dnsApi = `http://127.0.0.1:${dnsApiPort}`;
  const dns = run('pebble-challtestsrv', [
    ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', ''],
    ...['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${dnsApiPort}`],
  ]);
  const startServer = () => run('pebble', ['-config', config, '-dnsserver', `127.0.0.1:${dnsPort}`], env);
  let server = startServer();
  const logs: string[] = [];

  const agent = new Agent({ ca: own.cert, keepAlive: false });
  const management = (path: string) => fetchText(`https://127.0.0.1:${managementPort}${path}`, agent);
  const api = async (path: string, body: unknown) => {
    const answer = await fetch(`${dnsApi}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    if (!answer.ok) throw new Error(`pebble-challtestsrv ${path}: ${answer.status} ${await answer.text()}`);
  };
  const clearDns = async (name: string) => {
    for (const what of ['clear-a', 'clear-aaaa', 'clear-caa', 'clear-servfail']) await api(`/${what}`, { host: name });
  };
  const ready = async () => {
    await Promise.race([
      server.ended,
      dns.ended,
      answering(() => fetchText(`https://127.0.0.1:${apiPort}/dir`, agent)),
    ]);
    if (server.over() || dns.over()) throw new Error(`pebble or its DNS ended at once:\n${server.log()}\n${dns.log()}`);
  };

  const pebble: Pebble = {
    directory: `https://127.0.0.1:${apiPort}/dir`,
    caFile,
    ca: own.cert,
    apiPort,
    httpPort,
    tlsPort,
    dnsPort,
    dnsApi,
    root: () => management('/roots/0'),
    intermediate: () => management('/intermediates/0'),
    async setDns(name, { a, aaaa, caa, servfail }) {
      await clearDns(name);
      if (a) await api('/add-a', { host: name, addresses: a });
      if (aaaa) await api('/add-aaaa', { host: name, addresses: aaaa });
      if (caa) await api('/add-caa', { host: name, policies: caa });
      if (servfail) await api('/set-servfail', { host: name });
    },
    clearDns,
    log: () => [...logs, server.log()].join(''),
    stop: () => server.end(),
    async startAgain() {
      await server.end();
      logs.push(server.log());
      server = startServer();
      await ready();
    },
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    close() {
      server.kill();
      dns.kill();
      agent.destroy();
    },
  };
  try {
    await Promise.race([dns.ended, answering(() => api('/clear-a', { host: 'oo.invalid' }))]);
    await ready();
  } catch (error) {
    pebble.close();
    throw error;
  }
  return pebble;
}

/**
 * A loopback port that is free for TCP now. Not out of the range that the kernel gives to others (32768 and up): a test that
 * listens on it a second later would find it taken.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(20_000, 32_000);
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port between 20000 and 32000');
}

interface Running {
  readonly ended: Promise<unknown>;
  /** Sends SIGKILL and waits for the end. */
  end(): Promise<void>;
  over(): boolean;
  log(): string;
  signal(signal: NodeJS.Signals): void;
  kill(): void;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** The kernel ends it with this process, even where that one is killed. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Running {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  alive.add(child);
  let text = '';
  let over = false;
  child.unref();
  for (const stream of [child.stdout, child.stderr] as Socket[])
    stream
      .unref()
      .setEncoding('utf8')
      .on('data', (chunk: string) => {
        text = (text + chunk).slice(-1_000_000);
      });
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      over = true;
      alive.delete(child);
      resolve();
    };
    child.on('close', end);
    child.on('error', (error) => {
      text += `${command}: ${error.message}`;
      end();
    });
  });
  return {
    ended,
    async end() {
      child.kill('SIGKILL');
      child.ref();
      await ended;
    },
    over: () => over,
    log: () => text,
    signal: (signal) => {
      child.kill(signal);
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

async function answering(ask: () => Promise<unknown>): Promise<void> {
  for (const end = performance.now() + startMs; ; await sleep(20)) {
    try {
      await ask();
      return;
    } catch (error) {
      if (performance.now() > end) throw new Error(`pebble does not answer within ${startMs} ms`, { cause: error });
    }
  }
}

function fetchText(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, signal: AbortSignal.timeout(5_000) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`${url}: ${response.statusCode} ${text}`)),
      );
    });
    request.on('error', reject);
  });
}
