import { failureOf } from './failure-text.ts';
import type { Job } from './jobs.ts';
import type { Shelf } from './manager-shelf.ts';
import type { Clock } from './manager-types.ts';
import { nextWindowQuestion, within } from './renewal.ts';
import type { States } from './states.ts';
import type { Certificate, Issuer } from './types.ts';

const hour = 3_600_000;
const mostAtOnce = 4;
/** When a CA is asked again that has no renewal windows, ms. */
const noWindowsMs = 24 * hour;
/** When a CA is asked again that could not say (RFC 9773 §4.3.3). */
const failedMs = 6 * hour;
/** More than `nextWindowQuestion` ever chooses. */
const longestMs = 25 * hour;

export interface WindowsOptions {
  readonly shelf: Shelf;
  readonly states: States;
  readonly issuers: readonly Issuer[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: (line: string) => void;
}

/** The CAs' renewal windows (RFC 9773): asked for when it is time, a few at once. */
export class Windows {
  readonly #options: WindowsOptions;
  #asking = 0;

  constructor(options: WindowsOptions) {
    this.#options = options;
  }

  get isBusy(): boolean {
    return this.#asking >= mostAtOnce;
  }

  /** When to ask for a job's window; Infinity: not at all, or it is being asked for. */
  dueAt(job: Job): number {
    const { shelf, states, clock } = this.#options;
    const certificate = shelf.get(job.wanted.id);
    if (job.askingWindow || certificate === undefined || this.#issuerOf(job, certificate) === undefined)
      return Number.POSITIVE_INFINITY;
    const state = states.get(certificate.id);
    return state?.renewSerial === certificate.serial ? within(state.askWindowAt, clock.now(), longestMs) : 0;
  }

  #issuerOf(job: Job, { source, directory }: Certificate): Issuer | undefined {
    if (source !== 'acme' || job.wanted.by !== 'acme') return undefined;
    return this.#options.issuers.find((one) => one.directory === directory && one.renewalWindow !== undefined);
  }

  /** Asks, and notes the answer. Never rejects. */
  async ask(job: Job): Promise<void> {
    const certificate = this.#options.shelf.get(job.wanted.id);
    const issuer = certificate && this.#issuerOf(job, certificate);
    if (certificate === undefined || issuer === undefined) return;
    job.askingWindow = true;
    this.#asking += 1;
    try {
      await this.#ask(issuer, certificate);
    } finally {
      job.askingWindow = false;
      this.#asking -= 1;
    }
  }

  async #ask(issuer: Issuer, certificate: Certificate): Promise<void> {
    const { shelf, states, clock, random, log } = this.#options;
    const { id } = certificate;
    const now = clock.now();
    // So that the state is this certificate's.
    states.renewalOf(certificate, random);
    try {
      const window = await issuer.renewalWindow?.(certificate, now);
      if (shelf.get(id)?.serial !== certificate.serial) return;
      const askWindowAt = nextWindowQuestion(certificate, window?.askAgainAt ?? now + noWindowsMs, clock.now());
      if (window === undefined) states.change(id, { askWindowAt });
      else states.setWindow(certificate, window, askWindowAt, random);
    } catch (error) {
      const { message, retryAfter } = failureOf(error, 'directory', issuer.directory, clock.now());
      log(`certificate ${id}: the CA could not say when to renew: ${message}; the lifetime decides`);
      const wish = Math.max(now + failedMs, retryAfter);
      if (shelf.get(id)?.serial === certificate.serial)
        states.change(id, { askWindowAt: nextWindowQuestion(certificate, wish, clock.now()) });
    }
  }
}
