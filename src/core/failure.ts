/**
 * Every answer that oo itself gives in place of an upstream's. The code is API: clients match on it.
 * `detail` is public: it never names an upstream's address.
 */
export const failures = {
  OO_BAD_REQUEST: { status: 400, title: 'Bad request', detail: 'The request is not valid HTTP/1.1.' },
  OO_BAD_HEADER: { status: 400, title: 'Bad header', detail: 'A header field is malformed.' },
  OO_BAD_HOST: { status: 400, title: 'Bad host', detail: 'Exactly one valid Host is required.' },
  OO_BAD_PATH: { status: 400, title: 'Bad path', detail: 'The path can be read in more than one way.' },
  OO_BAD_FRAMING: { status: 400, title: 'Bad body framing', detail: 'The length of the body is not clear.' },
  OO_NO_ROUTE: { status: 404, title: 'Not found', detail: 'No route matches this host and path.' },
  OO_METHOD_REFUSED: { status: 405, title: 'Method not allowed', detail: 'CONNECT and TRACE are not forwarded.' },
  OO_REQUEST_TIMEOUT: { status: 408, title: 'Request timeout', detail: 'The request did not arrive in time.' },
  OO_BODY_TOO_LARGE: { status: 413, title: 'Body too large', detail: 'The request body is over the limit.' },
  OO_TARGET_TOO_LONG: { status: 414, title: 'Target too long', detail: 'The request target is over the limit.' },
  OO_EXPECTATION_REFUSED: { status: 417, title: 'Expectation failed', detail: 'Only 100-continue can be expected.' },
  OO_MISDIRECTED: { status: 421, title: 'Misdirected request', detail: 'This connection does not serve this host.' },
  OO_HEAD_TOO_LARGE: { status: 431, title: 'Header fields too large', detail: 'The request head is over the limit.' },
  OO_INTERNAL: { status: 500, title: 'Internal error', detail: 'The proxy failed; its log names the cause.' },
  OO_CODING_UNSUPPORTED: {
    status: 501,
    title: 'Not implemented',
    detail: 'Only the chunked transfer coding is known.',
  },
  OO_CONNECT_FAILED: { status: 502, title: 'Bad gateway', detail: 'The upstream could not be reached.' },
  OO_UPSTREAM_CLOSED: { status: 502, title: 'Bad gateway', detail: 'The upstream closed before it answered.' },
  OO_BAD_RESPONSE: { status: 502, title: 'Bad gateway', detail: 'The upstream answered with invalid HTTP.' },
  OO_NO_INSTANCE: { status: 503, title: 'Service unavailable', detail: 'No instance can take this request now.' },
  OO_CONNECT_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: 'The upstream could not be reached in time.' },
  OO_UPSTREAM_TIMEOUT: { status: 504, title: 'Gateway timeout', detail: 'The upstream did not answer in time.' },
  OO_VERSION_UNSUPPORTED: { status: 505, title: 'HTTP version not supported', detail: 'HTTP/1.1 or 1.0, please.' },
} as const;

export type FailureCode = keyof typeof failures;

export interface Failure {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}
