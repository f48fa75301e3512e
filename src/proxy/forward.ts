import { gateRetryAfter, gateStateAt } from '../core/gate-order.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { Field } from '../core/option-cors.ts';
import { decideRetry, isIdempotent } from '../core/retry.ts';
import { type AttemptParts, attempt, type Miss, type Trip } from './attempt.ts';
import type { ProxyClient } from './client.ts';
import type { Exchange } from './exchange.ts';
import { bodyOf } from './fetch.ts';
import { headersOf } from './fields.ts';
import type { ProxyMember } from './member.ts';
import type { MirrorCopy } from './mirror.ts';
import type { ProxyPool } from './pool.ts';
import type { ProxyReplies } from './reply.ts';
import type { OptionsRunner } from './route-options.ts';

/** What its route's options make of a request. */
export interface Changes {
  readonly options: CompiledOptions;
  readonly copied: readonly Field[];
  /** Path and query for the upstream. */
  readonly target: string;
  readonly stripped: string;
}

/** A request to be forwarded. */
export interface Outgoing {
  readonly exchange: Exchange;
  readonly client: ProxyClient;
  /** Null where the route only forwards. */
  readonly changes: Changes | null;
  readonly signal: AbortSignal;
  readonly exceeded: (() => boolean) | null;
}

export interface ForwarderParts extends AttemptParts {
  readonly random: () => number;
  readonly replies: ProxyReplies;
  readonly runner: OptionsRunner | null;
}

/** Picks, sends, and tries again. */
export class Forwarder {
  private readonly parts: ForwarderParts;

  constructor(parts: ForwarderParts) {
    this.parts = parts;
  }

  /** @returns the upstream's answer, or that to its failure. Never rejects. */
  async forward(outgoing: Outgoing, pool: ProxyPool): Promise<Response> {
    const { exchange, client, changes, signal, exceeded } = outgoing;
    const { now, random, replies } = this.parts;
    const { route, gate } = pool;
    const { request } = client;
    const startedAt = now();
    const state = gateStateAt(gate, startedAt);
    if (state !== 'open') {
      const code = state === 'stopped' ? 'OO_STOPPED' : 'OO_PAUSED';
      return replies.fail(exchange, code, { route, detail: gate.message, retryAfter: gateRetryAfter(gate, startedAt) });
    }
    const picking = { headers: request.headers, clientIp: client.peer, random };
    const canary = pool.isCanary(picking);
    pool.budget.note(startedAt);
    const tried: ProxyMember[] = [];
    let member = pool.pick(picking, canary, tried, startedAt);
    if (member === undefined)
      return replies.fail(exchange, 'OO_NO_INSTANCE', { route, retryAfter: pool.retryAfter(startedAt) });
    let sent = client.fields();
    let target = '';
    let copy: MirrorCopy | null = null;
    if (changes === null) target = client.path + client.query;
    else {
      const headers = headersOf(sent);
      copy = this.prepare(outgoing, changes, headers, pool);
      exchange.sent = headers;
      sent = [...headers];
      ({ target } = changes);
    }
    const trip = { exchange, client, pool, picking, target, sent, copy, canary, startedAt, tried, signal, exceeded };
    for (;;) {
      exchange.attempts++;
      const outcome = await attempt(trip, member, this.parts);
      if (outcome instanceof Response) {
        exchange.target = member.address;
        return outcome;
      }
      member = this.next(trip, outcome);
      if (member === undefined) {
        copy?.drop();
        return replies.fail(exchange, outcome.code, { route, cause: outcome.cause });
      }
      pool.retries++;
    }
  }

  /** Changes what is sent as the route says. @returns the copy for its mirror */
  private prepare(
    { exchange, client }: Outgoing,
    { options, copied, stripped, target }: Changes,
    sent: Headers,
    { route }: ProxyPool,
  ): MirrorCopy | null {
    const { runner } = this.parts;
    if (runner === null) return null;
    runner.rewriteRequest(sent, options, copied, stripped, client.fill(route.id));
    const { mirror } = options;
    if (mirror === null) return null;
    const host = route.route.hostHeader === 'upstream' ? mirror.target.authority : client.host;
    return runner.copy({ mirror, method: client.method, path: target, sent, host, waitUntil: exchange.keep });
  }

  /** The target of another attempt, if there may be one. */
  private next(trip: Trip, { code, slow = false }: Miss): ProxyMember | undefined {
    const { client, pool, picking, canary, tried, startedAt, signal } = trip;
    const { request } = client;
    const failed = code === 'OO_CONNECT_FAILED' || code === 'OO_UPSTREAM_CLOSED';
    const late = code === 'OO_CONNECT_TIMEOUT' || slow;
    const replayable = bodyOf(request) === null || !(request.bodyUsed || request.body?.locked);
    if (!(failed || late) || !replayable) return undefined;
    const now = this.parts.now();
    const member = pool.pick(picking, canary, tried, now);
    const elsewhere = member !== undefined && !tried.includes(member);
    // What was too slow once would be so again.
    if (!failed && !elsewhere) return undefined;
    // A fetch that failed may have sent anything, unless it says that it could not connect. Whether its connection was reused, it never says.
    const sentBytes = !code.startsWith('OO_CONNECT');
    const idempotent = isIdempotent(request.method);
    const last = { attempt: tried.length, sentBytes, reused: true, idempotent, replayable, responseStarted: false };
    const { retry } = pool.route.pool.settings;
    const verdict = decideRetry(retry, last, elsewhere, signal.aborted, startedAt, now, pool.budget);
    return verdict === 'retry' ? member : undefined;
  }
}
