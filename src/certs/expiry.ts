import { duration } from './failure-text.ts';
import type { Clock } from './manager-types.ts';
import type { Certificate } from './types.ts';

const day = 86_400_000;
/** What is left when it is said, the least first. */
const told = [0, day, 3 * day, 7 * day, 14 * day] as const;
/** How often certificates are looked at, ms. */
const lookMs = 3_600_000;

export interface ExpiryOptions {
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

/** Says in time that a certificate of a person's own ends, since nobody renews it: each day of `told` once a run. */
export class Expiry {
  readonly #options: ExpiryOptions;
  /** By id: which one it was said of last, and at which of `told`. */
  readonly #said = new Map<string, { readonly serial: string; readonly mark: number }>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** @param certificates all that are there */
  look(certificates: Iterable<Certificate>): void {
    const now = this.#options.clock.now();
    if (Math.abs(now - this.#lookedAt) < lookMs) return;
    this.#lookedAt = now;
    for (const certificate of certificates) if (certificate.source === 'saved') this.#lookAt(certificate, now);
  }

  #lookAt({ id, serial, notBefore, notAfter }: Certificate, now: number): void {
    const left = notAfter - now;
    // One that lives for days only is always about to expire: a third of its life is soon enough.
    const mark = told.find((mark) => left <= Math.min(mark, (notAfter - notBefore) / 3));
    const said = this.#said.get(id);
    if (mark === undefined || (said?.serial === serial && said.mark <= mark)) return;
    this.#said.set(id, { serial, mark });
    const when = left <= 0 ? 'has expired' : `expires in ${duration(left)}`;
    const what = 'it was saved by a person, and oo does not renew it';
    const next = `Bring the next one: oo cert save ${id.startsWith('*') ? `'${id}'` : id} --cert FILE --key FILE`;
    this.#options.log(`certificate ${id}: ${when} (${new Date(notAfter).toISOString()}): ${what}. ${next}`);
  }
}
