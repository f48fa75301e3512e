import { bodyOfFailure, type FailureBody, type FailureContext, portable, shown } from './failure-body.ts';
import { firstSegment } from './service-path.ts';

export type { Failure, FailureContext } from './failure-body.ts';

/**
 * Every answer that oo itself gives in place of an upstream's. The code is API: clients match on it.
 * `detail` is public: it never names an upstream's address.
 */
export const failures = {
  OO_BAD_REQUEST: { status: 400, title: 'Bad request', detail: 'The request is not valid HTTP.' },
  OO_BAD_HEADER: { status: 400, title: 'Bad header', detail: 'A header field is malformed.' },
  OO_BAD_HOST: portable.OO_BAD_HOST,
  OO_BAD_PATH: portable.OO_BAD_PATH,
  OO_BAD_FRAMING: portable.OO_BAD_FRAMING,
  OO_UNAUTHORIZED: { status: 401, title: 'Unauthorized', detail: 'A user name and its password are required.' },
  OO_FORBIDDEN_ADDRESS: { status: 403, title: 'Forbidden', detail: 'This address is not let in.' },
  OO_NO_ROUTE: portable.OO_NO_ROUTE,
  OO_NO_SERVICE: { status: 404, title: 'Not found', detail: 'No such service is registered.' },
  OO_METHOD_REFUSED: portable.OO_METHOD_REFUSED,
  OO_REQUEST_TIMEOUT: { status: 408, title: 'Request timeout', detail: 'The request did not arrive in time.' },
  OO_BODY_TOO_LARGE: portable.OO_BODY_TOO_LARGE,
  OO_TARGET_TOO_LONG: { status: 414, title: 'Target too long', detail: 'The request target is over the limit.' },
  OO_EXPECTATION_REFUSED: { status: 417, title: 'Expectation failed', detail: 'Only 100-continue can be expected.' },
  OO_MISDIRECTED: { status: 421, title: 'Misdirected request', detail: 'This connection does not serve this host.' },
  OO_RATE_LIMITED: { status: 429, title: 'Too many requests', detail: 'Please come back a little later.' },
  OO_HEAD_TOO_LARGE: { status: 431, title: 'Header fields too large', detail: 'The request head is over the limit.' },
  OO_INTERNAL: portable.OO_INTERNAL,
  OO_CODING_UNSUPPORTED: {
    status: 501,
    title: 'Not implemented',
    detail: 'Only the chunked transfer coding is known.',
  },
  OO_CONNECT_FAILED: portable.OO_CONNECT_FAILED,
  OO_UPSTREAM_CLOSED: portable.OO_UPSTREAM_CLOSED,
  OO_BAD_RESPONSE: portable.OO_BAD_RESPONSE,
  OO_AUTH_FAILED: { status: 502, title: 'Bad gateway', detail: 'Whether this is allowed could not be found out.' },
  OO_HANDLER_FAILED: portable.OO_HANDLER_FAILED,
  OO_NO_INSTANCE: portable.OO_NO_INSTANCE,
  OO_OVERLOADED: { status: 503, title: 'Service unavailable', detail: 'Every instance is busy, and too many wait.' },
  OO_PAUSED: portable.OO_PAUSED,
  OO_STOPPED: portable.OO_STOPPED,
  OO_MAINTENANCE: { status: 503, title: 'Down for maintenance', detail: 'Please come back later.' },
  OO_AUTH_BUSY: { status: 503, title: 'Service unavailable', detail: 'Too many are being asked who they are.' },
  OO_CONNECT_TIMEOUT: portable.OO_CONNECT_TIMEOUT,
  OO_UPSTREAM_TIMEOUT: portable.OO_UPSTREAM_TIMEOUT,
  OO_AUTH_TIMEOUT: {
    status: 504,
    title: 'Gateway timeout',
    detail: 'Whether this is allowed could not be found out in time.',
  },
  OO_HANDLER_TIMEOUT: portable.OO_HANDLER_TIMEOUT,
  OO_VERSION_UNSUPPORTED: { status: 505, title: 'HTTP version not supported', detail: 'HTTP/1.1 or 1.0, please.' },
} as const;

export type FailureCode = keyof typeof failures;

/** As `bodyOfFailure`, by the code alone. */
export function failureBody(code: FailureCode, context: FailureContext): FailureBody {
  const { path, detail } = context;
  const noService = code === 'OO_NO_SERVICE' && path ? `No service '${shown(firstSegment(path))}' is registered.` : '';
  return bodyOfFailure(code, failures[code], { ...context, detail: detail || noService });
}
