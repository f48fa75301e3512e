import { requestPlan } from '../core/headers.ts';
import { isAuthority } from '../http1/host.ts';
import { isTrailerRefused } from '../http1/trailers.ts';
import { type ConnectionOptions, defaultOptions, FieldRules, RequestHead, Trailers } from '../http2/codec.ts';
import type { Edge } from './edge.ts';

/** What the HTTP/2 clients of an edge share. */
export interface Http2Parts {
  readonly rules: FieldRules;
  readonly head: RequestHead;
  readonly trailers: Trailers;
  readonly options: ConnectionOptions;
}

const made = new WeakMap<Edge, Map<boolean, Http2Parts>>();

/** @param trusted for clients that are trusted proxies: what they say of their clients is looked at */
export function http2Parts(edge: Edge, trusted: boolean): Http2Parts {
  let parts = made.get(edge);
  if (parts === undefined) {
    parts = new Map();
    made.set(edge, parts);
  }
  let found = parts.get(trusted);
  if (found === undefined) {
    found = make(edge, trusted);
    parts.set(trusted, found);
  }
  return found;
}

function make({ settings }: Edge, trusted: boolean): Http2Parts {
  const { maxHeadBytes, maxFields, maxTargetBytes, headTimeoutMs, idleTimeoutMs } = settings;
  const limits = { maxListBytes: maxHeadBytes, maxFields, maxTargetBytes };
  return {
    rules: FieldRules.ofRequests(requestPlan(trusted), isTrailerRefused),
    head: new RequestHead(limits, isAuthority, Buffer.allocUnsafeSlow),
    trailers: new Trailers(limits, Buffer.allocUnsafeSlow),
    options: { ...defaultOptions, headTimeoutMs, stallTimeoutMs: idleTimeoutMs },
  };
}
