/**
 * What a probe of an instance asks for, and what it must be answered. Plain data: it is stored, sent over the API, and read by
 * whoever probes.
 */
export interface HealthCheck {
  /** `tcp`: a connection is enough (for `https://` targets the handshake as well). `grpc`: grpc.health.v1.Health/Check. */
  readonly kind: 'http' | 'tcp' | 'grpc';
  /** HTTP: path and query. */
  readonly path: string;
  readonly method: 'GET' | 'HEAD';
  /** HTTP and gRPC: the Host that is sent; '' for the target's own. */
  readonly host: string;
  /** 0 for the instance's own. */
  readonly port: number;
  /** HTTP: which statuses are good, each range with both ends. */
  readonly statuses: readonly (readonly [from: number, to: number])[];
  /** HTTP: what the first `maxProbeBody` bytes of the body must contain; '' for nothing. */
  readonly bodyContains: string;
  /** gRPC: which service is asked for; '' for the server as a whole. */
  readonly grpcService: string;
  /** From the start of one probe to the start of the next, never less. */
  readonly intervalMs: number;
  /** For the whole probe, from the look-up of the name to the last byte that is read. */
  readonly timeoutMs: number;
  /** Good probes in a row that bring it back. */
  readonly rise: number;
  /** Failed probes in a row that take it out. */
  readonly fall: number;
  /** A good probe that takes longer is slow; `fall` of them in a row make the instance Degraded. */
  readonly degradedMs: number;
}

/** A connection every ten seconds; HTTP is asked for `/` and may answer anything from 200 to 399. */
export const defaultHealthCheck: HealthCheck = {
  kind: 'tcp',
  path: '/',
  method: 'GET',
  host: '',
  port: 0,
  statuses: [[200, 399]],
  bodyContains: '',
  grpcService: '',
  intervalMs: 10_000,
  timeoutMs: 3_000,
  rise: 2,
  fall: 3,
  degradedMs: 1_000,
};

/** The most that a probe reads of a body, bytes. */
export const maxProbeBody = 65_536;

/** Which field of a check is wrong, and what was expected. */
export interface HealthCheckFault {
  readonly field: keyof HealthCheck;
  readonly message: string;
}

const maxText = 1_024;

/** Everything that is wrong with a check; empty if it can be used. Bounds: 100 ms to a day between probes, 1 to 100 in a row. */
export function healthCheckFaults(check: HealthCheck): HealthCheckFault[] {
  const { path, host, statuses } = check;
  const faults: HealthCheckFault[] = [];
  const need = (field: keyof HealthCheck, good: boolean, message: string) => {
    if (!good) faults.push({ field, message });
  };
  need('path', /^\/[!-~]*$/.test(path) && path.length <= maxText, `'/' and visible ASCII, up to ${maxText} characters`);
  need('host', /^[!-~]*$/.test(host) && host.length <= 255, 'a host with or without a port, in ASCII');
  need('port', isWhole(check.port, 0, 65_535), 'a port from 1 to 65535, or 0 for the instance’s own');
  need('statuses', statuses.length > 0 && statuses.every(isStatusRange), 'statuses from 100 to 599, like 200-399');
  const isAskedForBody = check.bodyContains === '' || check.method === 'GET';
  need(
    'bodyContains',
    isAskedForBody && check.bodyContains.length <= maxText,
    `up to ${maxText} characters; needs GET`,
  );
  need('grpcService', check.grpcService.length <= 255, 'up to 255 characters');
  need('intervalMs', isWhole(check.intervalMs, 100, 86_400_000), 'from 100 ms to a day');
  need('timeoutMs', isWhole(check.timeoutMs, 10, 300_000), 'from 10 ms to 5 minutes');
  need('rise', isWhole(check.rise, 1, 100), 'from 1 to 100');
  need('fall', isWhole(check.fall, 1, 100), 'from 1 to 100');
  need('degradedMs', isWhole(check.degradedMs, 1, 300_000), 'from 1 ms to 5 minutes');
  return faults;
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function isStatusRange([from, to]: readonly [number, number]): boolean {
  return isWhole(from, 100, 599) && isWhole(to, from, 599);
}

/**
 * Under what results of a check are kept: the address and everything that is asked, so that a changed check never inherits an
 * other's results, and routes that ask the same of the same address share one probe (Caddy #7916).
 * @param address as the instance's key, `http://10.0.0.2:3000`
 */
export function healthKey(address: string, check: HealthCheck): string {
  const { kind, path, method, host, port, statuses, bodyContains, grpcService } = check;
  const { intervalMs, timeoutMs, rise, fall, degradedMs } = check;
  const asked =
    kind === 'http' ? [path, method, host, statuses, bodyContains] : kind === 'grpc' ? [host, grpcService] : [];
  return `${address} ${JSON.stringify([kind, port, ...asked, intervalMs, timeoutMs, rise, fall, degradedMs])}`;
}
