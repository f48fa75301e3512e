import type { Certificate, CertificateState, RenewalWindow } from './types.ts';

type Lifetime = Pick<Certificate, 'notBefore' | 'notAfter'>;

const minute = 60_000;
const hour = 60 * minute;

/** Renewal is due when this part of the lifetime is left, or up to `spread` of it earlier. */
const leftAtRenewal = 1 / 3;
const spread = 1 / 12;
/** Whatever the CA's window says, renewal is not put off beyond this. */
const leftAtLatest = 1 / 10;

/** How long a certificate is valid, ms. */
export function lifetimeOf({ notBefore, notAfter }: Lifetime): number {
  return Math.max(0, notAfter - notBefore);
}

/**
 * When to renew: at random within the CA's window (RFC 9773 §4.2; a time that is past means now), else when a third of the
 * lifetime is left, a little earlier at random. What matters most is that it is in time: a window that ends too near to the
 * expiry is cut off.
 * @param window undefined where the CA has said none
 * @param random from 0 up to 1
 */
export function chooseRenewal(
  certificate: Lifetime,
  window: Pick<RenewalWindow, 'start' | 'end'> | undefined,
  random: number,
): number {
  const lifetime = lifetimeOf(certificate);
  if (window === undefined) return certificate.notAfter - lifetime * (leftAtRenewal + spread * random);
  const chosen = window.start + Math.max(0, window.end - window.start) * random;
  return Math.min(chosen, certificate.notAfter - lifetime * leftAtLatest * (1 + random));
}

/**
 * Before when a certificate is not replaced because of the CA's window. A window that has been open since a certificate came
 * would be open for its successor, too, and so on until the CA's limits end it.
 * @param had when the certificate came to us: CAs date notBefore back
 */
export function settledAt(certificate: Lifetime, had: number): number {
  return had + Math.min(6 * hour, lifetimeOf(certificate) / 10);
}

/** When to ask for the window again, should the CA's own wish be out of all proportion. @param wish epoch ms */
export function nextWindowQuestion(certificate: Lifetime, wish: number, now: number): number {
  const longest = Math.min(24 * hour, Math.max(minute, lifetimeOf(certificate) / 6));
  const shortest = Math.min(minute, longest);
  return Math.min(now + longest, Math.max(now + shortest, wish));
}

/**
 * When renewal is due, as far as `state` is about this certificate.
 * @returns epoch ms; undefined: nothing is chosen for it yet
 */
export function plannedRenewal(certificate: Certificate, state: CertificateState | undefined): number | undefined {
  if (state === undefined || state.renewAt === 0 || state.renewSerial !== certificate.serial) return undefined;
  return state.renewAt;
}

/**
 * How long to wait at most until all certificates are looked at again, ms: a timer that is set for weeks would not notice a
 * clock that is put right, or a machine that slept.
 */
export function longestWait(shortestLifetime: number): number {
  return Math.min(5 * minute, Math.max(1_000, shortestLifetime / 20));
}

/**
 * A time that something waits for; 0 where it is farther away than it can have been set: the clock was wrong then, and nothing
 * must wait for a year that never was.
 */
export function within(at: number, now: number, most: number): number {
  return at - now > most ? 0 : at;
}
