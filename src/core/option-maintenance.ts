import type { Cidr } from './cidr.ts';
import { compileRanges, rangeList } from './option-access.ts';
import { isMapping, type Kind, proven, type Say, show, whole } from './pool-proof.ts';

export interface CompiledMaintenance {
  /** '' for the code's own words. */
  readonly message: string;
  readonly retryAfterSeconds: number;
  /** Who is let through. */
  readonly allow: readonly Cidr[];
}

export const defaultRetryAfterSeconds = 300;
const day = 86_400;

const message: Kind = {
  expected: 'a text of up to 500 characters',
  is: (value) => typeof value === 'string' && value.length <= 500,
};
const fields = { message, retryAfterSeconds: whole(1, 30 * day), allow: rangeList };

/** Proves an option's `maintenance`. @param value anything; false is none */
export function compileMaintenance(value: unknown, say: Say): CompiledMaintenance | null {
  if (value === false) return null;
  const given = value === true ? {} : typeof value === 'string' ? { message: value } : value;
  if (!isMapping(given)) {
    say(`maintenance is ${show(value)}; expected true, false, what the page says, or a mapping`);
    return null;
  }
  const good = proven(given, 'maintenance', fields, say);
  return Object.freeze({
    message: (good.message ?? '') as string,
    retryAfterSeconds: (good.retryAfterSeconds ?? defaultRetryAfterSeconds) as number,
    allow: compileRanges(good.allow as readonly unknown[] | undefined, 'maintenance.allow', say),
  });
}
