import type { FailureCode } from '../core/failure.ts';
import { outcomeOfFailure, outcomeOfStatus } from '../core/outlier-outcome.ts';
import { tryDeadline } from '../core/retry.ts';
import type { ProxyClient } from './client.ts';
import type { Exchange } from './exchange.ts';
import { bodyLimit, bodyOf, classify, cutNotEnded, type Send } from './fetch.ts';
import { type Fields, setField } from './fields.ts';
import type { ProxyMember } from './member.ts';
import type { MirrorCopy } from './mirror.ts';
import type { Picking, ProxyPool } from './pool.ts';
import { leftResponse } from './reply.ts';
import { upgradeOf } from './websocket.ts';

/** Time from a request sent to the response's head, where the route says nothing, ms. */
export const defaultResponseTimeoutMs = 60_000;

/** A request that is forwarded, over all of its attempts. */
export interface Trip {
  readonly exchange: Exchange;
  /** What is forwarded: the exchange's request, or what a handler has made of it. */
  readonly client: ProxyClient;
  readonly pool: ProxyPool;
  readonly picking: Picking;
  /** Path and query. */
  readonly target: string;
  /** What is sent; Host is set for each attempt. */
  readonly sent: Fields;
  readonly copy: MirrorCopy | null;
  readonly canary: boolean;
  readonly startedAt: number;
  readonly tried: ProxyMember[];
  /** Its abort takes the request back. */
  readonly signal: AbortSignal;
  /** Whether a body that is counted already was too long; null where it is to be counted. */
  readonly exceeded: (() => boolean) | null;
}

/** How an attempt without an answer went. */
export interface Miss {
  readonly code: FailureCode;
  readonly cause: unknown;
  /** Its own time was over, the route's was not. */
  readonly slow?: boolean;
}

/** What attempts need of the program. */
export interface AttemptParts {
  readonly send: Send;
  /** Epoch ms. */
  readonly now: () => number;
}

/** One fetch, up to the response's head. Never rejects. */
export async function attempt(trip: Trip, member: ProxyMember, { send, now }: AttemptParts): Promise<Response | Miss> {
  const { client, sent, copy, signal, pool } = trip;
  const { request } = client;
  const { route } = pool;
  const { target } = member;
  const { settings } = route.pool;
  const begun = now();
  const responseMs = route.route.responseTimeoutMs ?? defaultResponseTimeoutMs;
  const tryMs = tryDeadline(settings.retry, trip.startedAt, begun) - begun;
  // One controller for both ends: what AbortSignal.any makes costs more than the rest of an attempt.
  const stop = new AbortController();
  const leave = () => stop.abort(signal.reason);
  let late = false;
  const expire = () => {
    late = true;
    stop.abort();
  };
  const timer = setTimeout(expire, Math.max(0, Math.min(responseMs, tryMs)));
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  const limit = trip.exceeded === null ? bodyLimit(request, route) : { body: bodyOf(request), exceeded: trip.exceeded };
  setField(sent, 'host', route.route.hostHeader === 'upstream' ? target.authority : client.host);
  trip.tried.push(member);
  member.start(begun);
  const copied = copy === null || limit.body === null ? limit.body : copy.through(limit.body);
  // The client's own is the runtime's, which knows a cut.
  const body = copied === null || copied === trip.exchange.request.body ? copied : cutNotEnded(copied, stop);
  if (limit.body === null) copy?.end(false);
  try {
    const answer = await send(
      `${target.tls ? 'https' : 'http'}://${target.authority}${target.basePath}${trip.target}`,
      { method: request.method, fields: sent, body, signal: stop.signal, upgrade: upgradeOf(trip.exchange) },
    );
    const outcome = outcomeOfStatus(answer.status, settings.instance.failureStatuses);
    const at = now();
    member.reply(outcome, begun, at);
    pool.observe(member, outcome, begun, at);
    return answer;
  } catch (cause) {
    signal.removeEventListener('abort', leave);
    const at = now();
    if (signal.aborted || limit.exceeded()) {
      member.cancel(begun, at);
      return signal.aborted ? leftResponse() : { code: 'OO_BODY_TOO_LARGE', cause };
    }
    const code = late ? 'OO_UPSTREAM_TIMEOUT' : classify(cause);
    // Whether its connection had served a request before, fetch never says.
    const outcome = outcomeOfFailure(code, false, false);
    member.failure(outcome, begun, at);
    pool.observe(member, outcome, begun, at);
    return { code, cause, slow: late && tryMs < responseMs };
  } finally {
    clearTimeout(timer);
  }
}
