import { STATUS_CODES } from 'node:http';
import { type FailureCode, failureBody, failures } from '../core/failure.ts';

const allowed = 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** An answer of ours, whatever it is sent by. */
export interface Reply {
  readonly status: number;
  /** Field lines without their ends. */
  readonly lines: readonly string[];
  /** Null for answers that can't have one. */
  readonly body: string | Uint8Array | null;
}

/** What a failure's answer says of the request, each as sent and unescaped. */
export interface FailedRequest {
  readonly accept: string;
  readonly requestId: string;
  readonly host: string;
  readonly path: string;
  /** What an operator says in place of the code's own words; '' for nothing. */
  readonly detail?: string;
}

/** The answer to a request that is not forwarded. @param retryAfter seconds, with a 503 or a 429 */
export function failureReply(code: FailureCode, request: FailedRequest, retryAfter = 1): Reply {
  const { status } = failures[code];
  const { contentType, body } = failureBody(code, request);
  const lines = [`Content-Type: ${contentType}`, 'Cache-Control: no-store'];
  lines.push(`X-Request-Id: ${request.requestId}`, `X-Oo-Code: ${code}`);
  if (status === 405) lines.push(allowed);
  if (status === 503 || status === 429) lines.push(`Retry-After: ${retryAfter}`);
  return { status, lines, body };
}

/** The answer to `OPTIONS *`, which asks about the proxy itself. */
export const optionsReply: Reply = { status: 204, lines: [allowed], body: null };

/** The head of an answer as HTTP/1.1 bytes. */
export function replyHead({ status, lines, body }: Reply, keep: boolean): Buffer {
  const length = body === null ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const close = keep ? [] : ['Connection: close'];
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...length, ...lines, ...close];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
}
