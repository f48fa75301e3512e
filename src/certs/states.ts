import { chooseRenewal, plannedRenewal, settledAt } from './renewal.ts';
import type { Certificate, CertificateState, CertificateStore } from './types.ts';

function blank(id: string): CertificateState {
  return {
    id,
    failures: 0,
    lastFailure: null,
    notBefore: 0,
    renewAt: 0,
    renewSerial: '',
    windowStart: 0,
    windowEnd: 0,
    windowUrl: '',
    askWindowAt: 0,
    forcedAt: 0,
  };
}

/** What is known of the attempts, in memory; the database follows, so that a restart hammers no CA. */
export class States {
  readonly #store: Pick<CertificateStore, 'states' | 'findState' | 'saveState' | 'removeState'>;
  readonly #log: (line: string) => void;
  readonly #states = new Map<string, CertificateState>();
  readonly #unsaved = new Set<string>();
  #saving: Promise<void> = Promise.resolve();
  #failing = false;

  constructor(
    store: Pick<CertificateStore, 'states' | 'findState' | 'saveState' | 'removeState'>,
    log: (line: string) => void,
  ) {
    this.#store = store;
    this.#log = log;
  }

  /** Whether the last try to write failed. */
  get isBehind(): boolean {
    return this.#failing;
  }

  /** @throws StoreFailure */
  async load(): Promise<void> {
    for (const state of await this.#store.states()) this.#states.set(state.id, state);
  }

  get(id: string): CertificateState | undefined {
    return this.#states.get(id);
  }

  all(): Iterable<CertificateState> {
    return this.#states.values();
  }

  /** Takes over what another server has noted since. Never rejects. */
  async refresh(id: string): Promise<void> {
    if (this.#unsaved.has(id)) return;
    const find = async () =>
      this.#store.findState === undefined
        ? (await this.#store.states()).find((state) => state.id === id)
        : this.#store.findState(id);
    const state = await find().catch(() => undefined);
    if (state !== undefined && !this.#unsaved.has(id)) this.#states.set(id, state);
  }

  /** Changes it in memory at once, and in the database as soon as it can be. */
  change(id: string, change: Partial<CertificateState>): CertificateState {
    const next = { ...(this.#states.get(id) ?? blank(id)), ...change };
    this.#states.set(id, next);
    this.#unsaved.add(id);
    return next;
  }

  forget(id: string): void {
    if (this.#states.delete(id)) this.#unsaved.add(id);
  }

  /** Writes what has changed. Never rejects: what could not be written is written with the next call. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#saveAll());
    return this.#saving;
  }

  async #saveAll(): Promise<void> {
    for (const id of [...this.#unsaved]) {
      const state = this.#states.get(id);
      try {
        this.#unsaved.delete(id);
        await (state === undefined ? this.#store.removeState(id) : this.#store.saveState(state));
        this.#failing = false;
      } catch (error) {
        this.#unsaved.add(id);
        if (!this.#failing) this.#log(`certificates: what is planned could not be stored: ${(error as Error).message}`);
        this.#failing = true;
        return;
      }
    }
  }

  /** When this certificate is to be renewed; chosen, and noted, if it is not yet. */
  renewalOf(certificate: Certificate, random: () => number): number {
    const known = this.#states.get(certificate.id);
    const planned = plannedRenewal(certificate, known);
    if (planned !== undefined) return planned;
    const renewAt = Math.ceil(chooseRenewal(certificate, undefined, random()));
    const noWindow = { windowStart: 0, windowEnd: 0, windowUrl: '', askWindowAt: 0 };
    // Another server has got it, or a person has brought it: what failed here before is over.
    const isOver = known?.lastFailure !== null && (known?.lastFailure.at ?? 0) <= certificate.updatedAt;
    const settled = isOver ? { failures: 0, lastFailure: null } : {};
    this.change(certificate.id, { renewAt, renewSerial: certificate.serial, ...noWindow, ...settled });
    return renewAt;
  }

  /** Notes the CA's window; the time is chosen anew only where the window has changed. */
  setWindow(
    certificate: Certificate,
    window: { readonly start: number; readonly end: number; readonly explanationUrl: string },
    askWindowAt: number,
    random: () => number,
  ): void {
    const known = this.#states.get(certificate.id);
    const { start, end, explanationUrl } = window;
    const same = known?.renewSerial === certificate.serial && known.windowStart === start && known.windowEnd === end;
    if (same) {
      this.change(certificate.id, { askWindowAt, windowUrl: explanationUrl });
      return;
    }
    const latest = certificate.notAfter - (certificate.notAfter - certificate.notBefore) / 10;
    const chosen = chooseRenewal(certificate, window, random());
    const renewAt = Math.ceil(Math.max(chosen, Math.min(settledAt(certificate, certificate.updatedAt), latest)));
    const noted = { windowStart: start, windowEnd: end, windowUrl: explanationUrl, askWindowAt };
    this.change(certificate.id, { renewAt, renewSerial: certificate.serial, ...noted });
  }
}
