import { isIP } from 'node:net';
import { normalIp } from './parse.ts';

/** The ways to prove a name. */
export type ChallengeType = 'http-01' | 'tls-alpn-01' | 'dns-01';

/** RFC 8555 §9.7.7, RFC 8738. */
export interface Identifier {
  readonly type: 'dns' | 'ip';
  readonly value: string;
}

export function identifierOf(name: string): Identifier {
  return isIP(name) === 0 ? { type: 'dns', value: name } : { type: 'ip', value: normalIp(name) ?? name };
}

/**
 * The ways that can prove a name at all: a wildcard only DNS (a CA offers no other), an address never.
 * @param configured in order of preference
 */
export function waysFor(name: string, configured: readonly ChallengeType[]): ChallengeType[] {
  if (name.startsWith('*.')) return configured.filter((type) => type === 'dns-01');
  return isIP(name) === 0 ? [...configured] : configured.filter((type) => type !== 'dns-01');
}

/** What is remembered of one name while a certificate is being had. */
export interface Tried {
  /** Ways that failed, with the CA's problem type. */
  readonly failed: ReadonlyMap<ChallengeType, string>;
  /** The way that worked last, for this name or for any; undefined: none yet. */
  readonly worked: ChallengeType | undefined;
}

/**
 * Which way to try next: what worked last, then by preference, none twice. A CA counts failures, so ways that must fail for the
 * same reason are left out.
 * @param possible as `waysFor` gives them @param offered by the CA for this name
 */
export function nextWay(
  possible: readonly ChallengeType[],
  offered: readonly string[],
  { failed, worked }: Tried,
): ChallengeType | undefined {
  const left = possible.filter((type) => offered.includes(type) && !failed.has(type) && !isHopeless(type, failed));
  return worked !== undefined && left.includes(worked) ? worked : left[0];
}

function isHopeless(type: ChallengeType, failed: ReadonlyMap<ChallengeType, string>): boolean {
  for (const [way, problem] of failed) {
    // CAA and rate limits are looked at whatever the way.
    if (problem === 'caa' || problem === 'rateLimited' || problem === 'rejectedIdentifier') return true;
    // No address found: both that connect to it fail.
    if (problem === 'dns' && way !== 'dns-01' && type !== 'dns-01') return true;
  }
  return false;
}

/** The server name that a CA asks for in TLS-ALPN-01: an address's reverse name (RFC 8738 §6). */
export function alpnServerName(name: string): string {
  if (isIP(name) === 4) return `${name.split('.').reverse().join('.')}.in-addr.arpa`;
  if (isIP(name) !== 6) return name;
  const full = normalIp(name)!
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - full.flat().length;
  const groups = full.length === 1 ? full[0] : [...full[0], ...Array<string>(missing).fill('0'), ...full[1]];
  const digits = groups.map((group) => group.padStart(4, '0')).join('');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
