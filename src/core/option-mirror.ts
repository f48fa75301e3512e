import { between, isMapping, type Kind, proven, type Say, show, whole } from './pool-proof.ts';
import { parseTarget } from './target.ts';
import type { Target } from './types.ts';

/** Where copies of a route's requests go. Frozen. */
export interface Mirror {
  readonly target: Target;
  /** Of all requests, 0 to 100. */
  readonly percent: number;
  /** Requests with longer bodies are not copied. */
  readonly maxBodyBytes: number;
}

export const defaultMirrorBodyBytes = 1024 * 1024;
/** A copy is kept in memory until its request is complete. */
const mostMirrorBodyBytes = 16 * 1024 * 1024;

const fields = {
  target: { expected: 'an address such as http://10.0.0.9:3000', is: (value) => typeof value === 'string' },
  percent: between(0, 100),
  maxBodyBytes: whole(0, mostMirrorBodyBytes),
} satisfies Record<string, Kind>;

/** Proves an option's `mirror`. @param value anything; undefined is none @returns null if nothing is copied */
export function compileMirror(value: unknown, say: Say): Mirror | null {
  if (value === undefined) return null;
  const options = typeof value === 'string' ? { target: value } : value;
  if (!isMapping(options)) {
    say(`mirror is ${show(value)}; expected an address such as http://10.0.0.9:3000, or a mapping with target`);
    return null;
  }
  const { target: text, percent, maxBodyBytes } = proven(options, 'mirror', fields, say);
  if (options.target === undefined) say('mirror has no target; expected an address such as http://10.0.0.9:3000');
  if (text === undefined) return null;
  const target = parseTarget(text as string);
  if (typeof target === 'string') say(`mirror.target ${text === '' ? '' : `${show(text)} `}${target}`);
  else if (target.http2) say(`mirror.target is ${show(text)}; expected http:// or https://: copies go over HTTP/1.1`);
  else
    return Object.freeze({
      target,
      percent: (percent as number | undefined) ?? 100,
      maxBodyBytes: (maxBodyBytes as number | undefined) ?? defaultMirrorBodyBytes,
    });
  return null;
}

/** Whether a request is copied. @param random from 0 to 1, 1 excluded */
export function isMirrored({ percent }: Mirror, random: number): boolean {
  return random * 100 < percent;
}

/** One line for people. */
export function describeMirror({ target, percent, maxBodyBytes }: Mirror): string {
  return `${percent} % of requests are copied to ${target.href}, with bodies up to ${maxBodyBytes} bytes`;
}
