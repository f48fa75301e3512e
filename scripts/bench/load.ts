import { h2load } from './h2load.ts';
import { handshakes } from './handshakes.ts';
import { coreBusy, cpuBetween, cpuOf, processCpu } from './process.ts';
import { type Contender, LOAD_HOST } from './proxy.ts';
import { LARGE_BYTES, SMALL_BYTES, UPLOAD_BYTES, type Upstream } from './upstream.ts';
import { wrk } from './wrk.ts';

/** Client connections of every load. */
export const CONNECTIONS = 64;

/** One kind of load. */
export interface Load {
  readonly id: string;
  readonly title: string;
  /** `handshake`: each request on a connection of its own, over HTTPS. */
  readonly protocol: 'http' | 'https' | 'h2' | 'handshake';
  readonly path: string;
  /** Body bytes of each answer. */
  readonly answerBytes: number;
  /** Body bytes of each request: sent as POST when more than 0. */
  readonly uploadBytes: number;
  /** The Host of all requests, where `hosts` is 0. */
  readonly host: string;
  /** Requests name this many hosts (`hostOf`) at random; 0: `host` only. */
  readonly hosts: number;
  /** Requests bring one of these Cookie lines at random; none: they bring none. */
  readonly cookies: readonly string[];
  /** Further lines of all requests, over HTTP/1.1. */
  readonly headers: readonly string[];
  /** Instances that the upstream has in the route's pool. */
  readonly instances: number;
  /** Requests at once on each connection. */
  readonly streams: number;
  /** Handshakes resume the session of the one before. */
  readonly resumed: boolean;
  /** HTTP/2: so many requests, however long they take; 0: as many as there is time for. */
  readonly requests: number;
  /** Names that handshakes ask for at random; none: TLS_NAME. */
  readonly names: readonly string[];
}

/** A load that differs from small GETs over plain HTTP as `rest` says. */
export const load = (id: string, title: string, rest: Partial<Load>): Load => ({
  id,
  title,
  protocol: 'http',
  path: '/small',
  answerBytes: SMALL_BYTES,
  uploadBytes: 0,
  host: LOAD_HOST,
  hosts: 0,
  cookies: [],
  headers: [],
  instances: 1,
  streams: 1,
  resumed: false,
  requests: 0,
  names: [],
  ...rest,
});

const large = { path: '/large', answerBytes: LARGE_BYTES };
const sink = { path: '/sink', answerBytes: 0, uploadBytes: UPLOAD_BYTES };

export const SMALL_GET = load('get', 'Small GET (1 KiB answer), keep-alive', {});
export const DOWNLOAD = load('download', '1 MiB download', large);
export const UPLOAD = load('upload', '64 KiB upload', sink);
/** Small GETs to `hosts` names at random. */
export const manyHosts = (hosts: number): Load => load('routes', `Small GET to ${hosts} hosts at random`, { hosts });

export const TLS_GET = load('tls-get', 'HTTPS, HTTP/1.1: small GET, keep-alive', { protocol: 'https' });
export const TLS_DOWNLOAD = load('tls-download', 'HTTPS, HTTP/1.1: 1 MiB download', { protocol: 'https', ...large });
export const TLS_UPLOAD = load('tls-upload', 'HTTPS, HTTP/1.1: 64 KiB upload', { protocol: 'https', ...sink });
export const H2_GET = load('h2-get', 'HTTPS, HTTP/2: small GET, 10 streams a connection', {
  protocol: 'h2',
  streams: 10,
});
export const H2_DOWNLOAD = load('h2-download', 'HTTPS, HTTP/2: 1 MiB download', { protocol: 'h2', ...large });
export const H2_UPLOAD = load('h2-upload', 'HTTPS, HTTP/2: 64 KiB upload', { protocol: 'h2', ...sink });
export const HANDSHAKE = load('handshake', 'Full handshake (ECDSA P-256) with one small GET', {
  protocol: 'handshake',
});
export const RESUMED = load('resumed', 'Resumed handshake with one small GET', {
  protocol: 'handshake',
  resumed: true,
});
/** Full handshakes that ask for these names at random, each with a certificate of its own. */
export const manyNames = (names: readonly string[]): Load =>
  load('certs', 'Full handshake with one small GET, by number of certificates', { protocol: 'handshake', names });

/** What a load generator has counted. */
export interface Counted {
  readonly requests: number;
  /** Body bytes of answers, at least; heads may be counted in. */
  readonly bytes: number;
  readonly seconds: number;
  /** Undefined where the generator does not say. */
  readonly p99Ms: number | undefined;
  /** What went wrong → how often. */
  readonly errors: Readonly<Record<string, number>>;
}

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
  readonly p99Ms: number | undefined;
}

const generators = { http: wrk, https: wrk, h2: h2load, handshake: handshakes };

/**
 * Loads one proxy and measures it.
 * Throws where the answers are wrong, or where the proxy is not alike: connections not kept, requests not passed on.
 */
export async function measure(
  proxy: Contender,
  what: Load,
  upstream: Upstream,
  seconds: number,
  dir: string,
): Promise<Round> {
  const before = await upstream.counts();
  const { pid } = proxy.program;
  const cpuBefore = proxy.threadsEnd ? processCpu(pid) : cpuOf(pid);
  const busyBefore = coreBusy();
  const started = performance.now();
  const counted = await generators[what.protocol](proxy, what, seconds, dir).catch((error) =>
    fault(proxy, what, error.message),
  );
  const elapsedNs = (performance.now() - started) * 1e6;
  const cpuNs = typeof cpuBefore === 'number' ? processCpu(pid) - cpuBefore : cpuBetween(cpuBefore, cpuOf(pid));
  const othersNs = Math.max(0, coreBusy() - busyBefore - cpuNs);
  const after = await upstream.counts();
  check(proxy, what, counted, {
    connections: after.connections - before.connections,
    requests: after.requests - before.requests,
  });
  return {
    requests: counted.requests,
    seconds: counted.seconds,
    cpuUs: cpuNs / 1000 / counted.requests,
    requestsPerSecond: counted.requests / counted.seconds,
    busy: cpuNs / elapsedNs,
    others: othersNs / elapsedNs,
    p99Ms: counted.p99Ms,
  };
}

function check(
  proxy: Contender,
  what: Load,
  counted: Counted,
  upstream: { connections: number; requests: number },
): void {
  const { requests } = counted;
  if (requests === 0) fault(proxy, what, 'no request was answered');
  const errors = Object.entries(counted.errors).filter(([, count]) => count > 0);
  if (errors.length > 0)
    fault(proxy, what, `errors in ${requests} requests: ${errors.map((each) => each.join(' ')).join(', ')}`);
  if (counted.bytes < requests * what.answerBytes)
    fault(proxy, what, `${requests} answers had ${counted.bytes} bytes: too few`);
  if (upstream.requests < requests)
    fault(proxy, what, `${requests} requests answered, only ${upstream.requests} reached the upstream`);
  // One upstream connection for each request at once, some slack for those that were being opened meanwhile. Of several instances each
  // has as many as it had requests at once, in turn.
  if (upstream.connections > CONNECTIONS * what.streams * Math.max(2, what.instances))
    fault(proxy, what, `${upstream.connections} upstream connections for ${requests} requests: not kept alive`);
}

function fault(proxy: Contender, what: Load, message: string): never {
  throw new Error(`${proxy.name}, ${what.title}: ${message}`);
}
