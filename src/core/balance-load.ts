/**
 * What one worker knows of one instance, for all pools that it is in. Plain and of fixed shape: it is read at each pick.
 * Times are epoch ms. Change it with the functions of this file only.
 */
export interface Load {
  /** By active and passive health. Comes as a message: see `setHealthy`. */
  healthy: boolean;
  /** When it last came up; 0: before this process did, so that nothing ramps after a restart. */
  upSince: number;
  /** Moving average of the time to a response's head, ms, after peaks; below 0 while there was none: a cold instance. */
  latencyMs: number;
  /** The latency before that one. */
  lastMs: number;
  /** When the average rose last. */
  raisedAt: number;
  /** A request has been answered that was sent after the first one's answer. */
  sure: boolean;
  /** When the last outcome was seen. */
  observedAt: number;
  /** Share of failures among the last few outcomes, 0 to 1. */
  failureShare: number;
  /** Requests that wait for their response's head. */
  waiting: number;
  /** Since when it has been silent while requests waited. */
  waitingSince: number;
}

/** What can be balanced: an instance with its live state. The getters are read at each pick, and should cost little. */
export interface Balanced {
  /** Unique in a pool; state carries over by it when the pool changes. */
  readonly address: string;
  /** Requests that it is serving now for this worker. */
  readonly inFlight: number;
  /** No further request can be sent to it now: its connections are at their limit, or its breaker is open. */
  readonly full: boolean;
  readonly load: Load;
}

/** In this time without an outcome, what is known of an instance loses two thirds of its force, ms, at the most. As Finagle's and Linkerd's. */
export const decayMs = 10_000;
/**
 * It is forgotten sooner where latencies are short: in so many times the latency itself. To try an instance of 8 ms once more costs 8 ms; to leave it
 * out for ten seconds, for what was a pause of somebody's, costs the others its share. What one request alone says is forgotten sooner still.
 */
const decayTimes = 60;
const unsureTimes = 10;
/**
 * Latencies nearer to one another than this are taken as the same: up to twice, and 3 ms, since what is answered in less than one is now and then late by
 * as much on any machine that has something else to do. What is in flight decides then.
 * Where service times vary as much as exponential ones do, a quarter left equal instances up to 25 % off their share, twice leaves them up to 6 % off;
 * one that is ten times slower gets as little either way (simulated: test/core/balancing.ts).
 */
export const noiseRatio = 2;
export const noiseMs = 3;
/** The clock's own step. */
const stepMs = 1;
/** What an outcome counts in the share of failures. */
const outcomeShare = 0.2;
/** An instance that only fails is taken for this many times slower than it is: failures are often fast. */
const failurePenalty = 20;

/** @param upSince when it came up; 0 at the start of the process. A `now` here begins its slow start */
export function createLoad(healthy: boolean, upSince: number): Load {
  return {
    healthy,
    upSince,
    latencyMs: -1,
    lastMs: -1,
    raisedAt: Number.NEGATIVE_INFINITY,
    sure: false,
    observedAt: 0,
    failureShare: 0,
    waiting: 0,
    waitingSince: 0,
  };
}

/**
 * Takes a health message. One that comes up starts slowly, and cold: what was known of it was known of another process, maybe.
 * @returns whether it changed; then the caller calls `invalidatePool` for each pool that it is in
 */
export function setHealthy(load: Load, healthy: boolean, now: number): boolean {
  if (load.healthy === healthy) return false;
  load.healthy = healthy;
  if (healthy) {
    load.upSince = now;
    load.latencyMs = -1;
    load.lastMs = -1;
    load.sure = false;
    load.failureShare = 0;
  }
  return true;
}

/** A request goes out. Exactly one of `observeReply`, `observeFailure` and `observeCancel` follows. */
export function observeStart(load: Load, now: number): void {
  if (load.waiting++ === 0) load.waitingSince = now;
}

/**
 * The response's head is here.
 *
 * A higher latency counts at once (the "peak"), a lower one by the time that has passed. But one request alone at most doubles the average:
 * a report that takes its three seconds wherever it runs must not keep others away from the instance that it met. The second in a row
 * counts in full; `lastMs` is not forgotten, so a slow instance that is tried again now and then gives itself away with one request.
 * In a row means sent after the first one was back: a pause (of it, of us, of the network) meets all requests that are under way, and all of
 * them together say no more of it than one.
 * @param latencyMs from the request sent to the response's head
 */
export function observeReply(load: Load, latencyMs: number, now: number): void {
  const sample = Math.max(0, latencyMs);
  const average = load.latencyMs;
  if (average < 0) {
    load.latencyMs = sample;
    load.raisedAt = now;
    load.sure = false;
  } else if (sample > average) {
    if (now - sample >= load.raisedAt) {
      load.latencyMs = Math.min(sample, Math.max(2 * average + stepMs, load.lastMs));
      load.raisedAt = now;
      load.sure = true;
    }
  } else {
    // The first one of all may have been slow for reasons of its own, and those beside it, too.
    load.latencyMs = load.sure ? sample + (average - sample) * decayed(load, now) : sample;
    load.sure ||= now - sample >= load.raisedAt;
  }
  load.lastMs = sample;
  settle(load, 0, now);
}

/** It failed by the instance's own doing: no connection, a time-out, a broken response, or a status that counts as failure. */
export function observeFailure(load: Load, now: number): void {
  settle(load, 1, now);
}

/** It ended by the client's doing: that says nothing of the instance. */
export function observeCancel(load: Load): void {
  if (load.waiting > 0) load.waiting--;
}

function settle(load: Load, failed: number, now: number): void {
  load.failureShare += (failed - load.failureShare) * outcomeShare;
  load.observedAt = now;
  if (load.waiting > 0) load.waiting--;
  load.waitingSince = now;
}

/** What is left of what was known, 1 to 0. */
function decayed(load: Load, now: number): number {
  const age = now - load.observedAt;
  if (age <= 0) return 1;
  const timeMs = Math.min(decayMs, Math.max(noiseMs, load.latencyMs) * (load.sure ? decayTimes : unsureTimes));
  // As good, to a millionth, where outcomes follow one another closely: what a busy pool asks.
  return age < timeMs / 1_000 ? 1 - age / timeMs : Math.exp(-age / timeMs);
}

/**
 * The latency that the next request can expect, ms, before what failures add. An idle instance is forgiven with time. One with requests waiting is
 * not: it is as slow as it was, or as it has been silent, whichever is more, so that a hung one is known within one latency.
 * @returns below 0 for a cold instance
 */
export function expectedLatency(load: Load, now: number): number {
  const { latencyMs } = load;
  if (latencyMs < 0) return -1;
  if (load.waiting > 0) return Math.max(latencyMs, now - load.waitingSince);
  return latencyMs * decayed(load, now);
}

function failureFactor(load: Load, now: number): number {
  if (load.failureShare < 0.001) return 1;
  return 1 + failurePenalty * load.failureShare * (load.waiting > 0 ? 1 : decayed(load, now));
}

/**
 * Whether the second instance clearly is the better one, by peak EWMA: expected latency × load.
 * Latencies that differ only by noise are taken as the same, and the loads decide: else all requests of a quiet pool
 * would go to whichever is a hair faster. A cold instance is taken to be as fast as the other, but gets one request at a time while the other is known.
 * @param firstLoad requests in flight and the one to come, by its weight; above 0, in the same measure as `secondLoad`
 * @param lighter what to say of two that are as fast
 */
export function isCheaper(
  second: Load,
  first: Load,
  secondLoad: number,
  firstLoad: number,
  lighter: boolean,
  now: number,
): boolean {
  let firstMs = expectedLatency(first, now);
  let secondMs = expectedLatency(second, now);
  if (firstMs < 0 || secondMs < 0) {
    if (firstMs >= 0 && second.waiting > 0) return false;
    if (secondMs >= 0 && first.waiting > 0) return true;
    firstMs = secondMs = 2 * noiseMs;
  }
  // Not less than noise: nothing times a load would be nothing.
  firstMs = Math.max(firstMs, noiseMs) * failureFactor(first, now);
  secondMs = Math.max(secondMs, noiseMs) * failureFactor(second, now);
  if (secondMs <= firstMs * noiseRatio + noiseMs && firstMs <= secondMs * noiseRatio + noiseMs) return lighter;
  return secondMs * secondLoad < firstMs * firstLoad;
}
