import { type HealthCheck, maxProbeBody } from './health-check.ts';

/** Why a probe got no answer; '' if it got one. */
export type ProbeError = '' | 'unresolved' | 'refused' | 'timeout' | 'tls' | 'closed' | 'protocol';

/** What one probe met. What does not apply stays as in `noAnswer`. */
export interface ProbeResult {
  readonly error: ProbeError;
  /** The error in the system's words, for people; '' if there is none. */
  readonly detail: string;
  readonly tookMs: number;
  /** HTTP's status, also of a gRPC answer; 0 without an answer. */
  readonly status: number;
  /** The start of the body, `maxProbeBody` bytes at most. */
  readonly body: string;
  /** `grpc-status` of the trailers (or of a head without body); -1 if there was none. */
  readonly grpcStatus: number;
  /** What `readGrpcHealth` found in the answer; -1 for nothing. */
  readonly serving: number;
}

/** What a prober starts from. */
export const noAnswer: ProbeResult = {
  error: '',
  detail: '',
  tookMs: 0,
  status: 0,
  body: '',
  grpcStatus: -1,
  serving: -1,
};

/** What a result means under a check. */
export interface ProbeVerdict {
  readonly passed: boolean;
  /** Passed, but over `degradedMs`. */
  readonly slow: boolean;
  /** One line: why it failed or is slow; '' for a good one. */
  readonly reason: string;
}

const good: ProbeVerdict = { passed: true, slow: false, reason: '' };

const errorTexts: Readonly<Record<Exclude<ProbeError, ''>, string>> = {
  unresolved: 'its name does not resolve',
  refused: 'no connection',
  timeout: 'no answer in time',
  tls: 'the TLS handshake failed',
  closed: 'it closed before it answered',
  protocol: 'it does not speak the protocol of the check',
};

/** Judges one result: first whether it passed, then whether it was fast enough. Never throws. */
export function judgeProbe(check: HealthCheck, result: ProbeResult): ProbeVerdict {
  const reason = failureOf(check, result);
  if (reason !== '') return { passed: false, slow: false, reason };
  if (result.tookMs <= check.degradedMs) return good;
  const took = Math.round(result.tookMs);
  return { passed: true, slow: true, reason: `answered in ${took} ms, over ${check.degradedMs} ms` };
}

function failureOf(check: HealthCheck, result: ProbeResult): string {
  const { error, detail } = result;
  if (error === 'timeout') return `${errorTexts.timeout} (${check.timeoutMs} ms)`;
  if (error !== '') return detail === '' ? errorTexts[error] : `${errorTexts[error]}: ${line(detail)}`;
  // A prober's timer may be late; the limit holds all the same.
  if (result.tookMs > check.timeoutMs) return `${errorTexts.timeout} (${check.timeoutMs} ms)`;
  if (check.kind === 'http') return httpFailureOf(check, result);
  return check.kind === 'grpc' ? grpcFailureOf(check, result) : '';
}

function httpFailureOf(check: HealthCheck, { status, body }: ProbeResult): string {
  if (!check.statuses.some(([from, to]) => status >= from && status <= to)) {
    const expected = check.statuses.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
    return `${check.path} answered ${status}, expected ${expected}`;
  }
  if (check.bodyContains === '' || body.slice(0, maxProbeBody).includes(check.bodyContains)) return '';
  return `${check.path} answered ${status} without '${line(check.bodyContains)}' in its body`;
}

const servingTexts = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

function grpcFailureOf(check: HealthCheck, { status, grpcStatus, serving }: ProbeResult): string {
  const asked = check.grpcService === '' ? 'the gRPC health check' : `gRPC health of ${line(check.grpcService)}`;
  if (status !== 200) return `${asked} was answered ${status} by HTTP`;
  if (grpcStatus === 12) return `${asked} is not implemented there (grpc-status 12)`;
  if (grpcStatus === 5) return `${asked}: it knows no such service (grpc-status 5)`;
  if (grpcStatus !== 0) return grpcStatus < 0 ? `${asked} has no grpc-status` : `${asked} ended with ${grpcStatus}`;
  return serving === 1 ? '' : `${asked} says ${servingTexts[serving] ?? 'nothing that can be read'}`;
}

/** One short line of visible characters: what a server says is shown to people. */
function line(text: string): string {
  const cut = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
