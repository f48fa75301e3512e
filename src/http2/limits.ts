/*
 * What a peer may do often, beside requests. Each of these is cheap for it and costs us something, and nothing good is done by many of
 * them: past a limit the connection ends with ENHANCE_YOUR_CALM. The figures are for one connection and one window of time; a browser or
 * a gRPC client stays far below them. Attacks 33 to 36; CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-27983, CVE-2025-8671.
 */
export const FLOOD_WINDOW_MS = 10_000;

/** RST_STREAM: rapid reset. gRPC clients cancel calls by it, so a few a second are normal. */
export const RESETS = 0;
/** Our own RST_STREAM, for what the peer did wrong (MadeYouReset), and malformed requests. */
export const FAULTS = 1;
/** Streams refused because too many are open: until our SETTINGS have arrived a client may not know the limit. */
export const REFUSALS = 2;
/** PING, both kinds; gRPC measures round trips by them. */
export const PINGS = 3;
export const SETTINGS_FRAMES = 4;
/** DATA without data and without END_STREAM. */
export const EMPTY_FRAMES = 5;
/** PRIORITY, and types that nobody knows. */
export const IGNORED = 6;
/** Frames for streams that are gone. */
export const LATE = 7;
/** DATA of ours cut to almost nothing by windows of almost nothing (CVE-2019-9511). */
export const DRIBBLES = 8;

/** By the kinds above. */
export const FLOOD_LIMITS: readonly number[] = [1_000, 100, 1_000, 1_000, 100, 100, 1_000, 2_000, 10_000];
/**
 * The same for a server that we have asked: what it does wrong on one stream, or sends on one that we have reset, is in answer to
 * requests of ours, and must not end the streams of other clients that share the connection.
 */
export const UPSTREAM_FLOOD_LIMITS: readonly number[] = FLOOD_LIMITS.map((limit, kind) =>
  kind === FAULTS || kind === LATE ? Number.POSITIVE_INFINITY : kind === EMPTY_FRAMES ? 10_000 : limit,
);
export const FLOOD_NAMES: readonly string[] = [
  'streams reset',
  'streams in error',
  'streams over the limit',
  'PING frames',
  'SETTINGS frames',
  'empty DATA frames',
  'PRIORITY or unknown frames',
  'frames for closed streams',
  'windows of a few bytes',
];

/** DATA frames shorter than this, though more was there, are dribbles. */
export const DRIBBLE_BYTES = 256;
/** Settings in one frame; six are defined. */
export const MAX_SETTINGS = 32;
/** CONTINUATION frames of one field block, empty ones included (CVE-2024-27983 and its kin). */
export const MAX_CONTINUATIONS = 32;
/**
 * WINDOW_UPDATE is measured against what we send, not against time: so many are allowed at first, for each stream, and for each
 * DATA frame of ours; a client that opens both windows for each DATA frame sends two.
 */
export const FIRST_UPDATES = 200;
export const UPDATES_PER_STREAM = 10;
export const UPDATES_PER_DATA = 10;
export const MOST_UPDATES = 100_000;
/** A waiting stream for which less than this could be sent in the stall time-out counts as stalled. */
export const STALL_BYTES = 1024;

/** Counts what a peer does, by kind, in windows of time. */
export class FloodMeter {
  private readonly counts = new Uint32Array(FLOOD_LIMITS.length);
  private readonly limits: readonly number[];
  private since = 0;

  /** @param limits by kind */
  constructor(limits: readonly number[]) {
    this.limits = limits;
  }

  /** @returns false if it was once too often */
  allows(kind: number, now: number): boolean {
    if (now - this.since >= FLOOD_WINDOW_MS) {
      this.since = now;
      this.counts.fill(0);
    }
    return ++this.counts[kind] <= this.limits[kind];
  }
}
