import type { Decision } from './types.ts';

/**
 * Why a route did not take a request:
 * `host`: it would, but another one's host is nearer to what was asked for; `shorter`: another one's prefix is longer; `edge`: its prefix ends inside a
 * segment of the path; `case`: the path has its prefix in another case; `path`: the path does not have its prefix; `port`: its id names another port;
 * `label`: its wildcard covers one label, and no more or less are left.
 */
export type Loss = 'host' | 'shorter' | 'edge' | 'case' | 'path' | 'port' | 'label';

/** A route that might have been expected to take the request. */
export interface RunnerUp {
  readonly id: string;
  readonly loss: Loss;
  /** One line. */
  readonly why: string;
}

/** What another reading of an ambiguous path leads to. */
export interface Reading {
  readonly path: string;
  /** A route's id; '' for none. */
  readonly route: string;
}

/** What the table says of one request, and why. */
export interface MatchExplanation {
  /** The data path's own. */
  readonly decision: Decision;
  /** One line: why this route, or why none. */
  readonly why: string;
  /** Those that came nearest first. */
  readonly runnersUp: readonly RunnerUp[];
  /** How many more there are that are not listed. */
  readonly more: number;
  /** Of a path that can be read in several ways: each other one. */
  readonly readings: readonly Reading[];
  /** Where no route takes it: what is near, each one line. */
  readonly misses: readonly string[];
}
