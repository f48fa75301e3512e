import { STATUS_CODES } from 'node:http';
import { type FailureCode, failureBody, failures } from '../core/failure.ts';

/** What a failure's answer says of the request, each as sent and unescaped. */
export interface FailedRequest {
  readonly accept: string;
  readonly requestId: string;
  readonly host: string;
  readonly path: string;
}

/** The whole answer to a request that is not forwarded, as HTTP/1.1 bytes. */
export function failureResponse(code: FailureCode, request: FailedRequest, isHead: boolean, keep: boolean): Buffer {
  const { status } = failures[code];
  const { contentType, body } = failureBody(code, request);
  const payload = Buffer.from(body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${payload.length}`,
    'Cache-Control: no-store',
    `X-Request-Id: ${request.requestId}`,
    `X-Oo-Code: ${code}`,
  ];
  if (status === 405) head.push('Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
  if (status === 503) head.push('Retry-After: 1');
  if (!keep) head.push('Connection: close');
  const text = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
  return isHead ? text : Buffer.concat([text, payload]);
}

/** The answer to `OPTIONS *`, which asks about the proxy itself. */
export function optionsResponse(keep: boolean): Buffer {
  return Buffer.from(
    `HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n${keep ? '' : 'Connection: close\r\n'}\r\n`,
  );
}
