import type { Clock, ManagerEvent } from './manager-types.ts';
import type { Certificate, CertificatePublisher, CertificateStore, ServedCertificate } from './types.ts';
import { localRootId, wildcardOf } from './wanted.ts';

const publishMs = 30_000;

export interface ShelfOptions {
  readonly store: CertificateStore;
  readonly publisher: CertificatePublisher;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  readonly onEvent: (event: ManagerEvent) => void;
}

/**
 * All certificates of this server, in memory; what is stored and what the workers serve follow it. The local CA's own
 * certificate is never on it.
 */
export class Shelf {
  readonly #options: ShelfOptions;
  readonly #certificates = new Map<string, Certificate>();
  /** Which certificates a name is on. */
  readonly #byName = new Map<string, Set<string>>();
  /** What the workers have. */
  readonly #published = new Map<string, Certificate>();
  /** Issued, and not in the database yet. */
  readonly #unsaved = new Set<string>();
  #version = 0;
  /** Whether the last try to tell the workers failed. */
  #unpublished = false;
  /** What has changed since the workers were told: ids, or 'all' where a change may matter to many others. */
  #changed: Set<string> | 'all' = 'all';
  #expiresAt = 0;
  #storing: Promise<void> = Promise.resolve();
  #publishing: Promise<void> | undefined;
  #again = false;

  constructor(options: ShelfOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#certificates.size;
  }

  get(id: string): Certificate | undefined {
    return this.#certificates.get(id);
  }

  all(): Iterable<Certificate> {
    return this.#certificates.values();
  }

  /** Whether the database has it. */
  isStored(id: string): boolean {
    return !this.#unsaved.has(id);
  }

  /** Whether something could not be stored or published yet. */
  get isBehind(): boolean {
    return this.#unsaved.size > 0 || this.#unpublished;
  }

  /** When the next of the published ones expires, which changes what is to be served; Infinity: none does. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** An unexpired one that covers the name, by the name itself or by its wildcard. */
  covering(name: string): Certificate | undefined {
    const now = this.#options.clock.now();
    for (const key of [name, wildcardOf(name)])
      for (const id of this.#byName.get(key) ?? []) {
        const certificate = this.#certificates.get(id);
        if (certificate !== undefined && certificate.notAfter > now) return certificate;
      }
    return undefined;
  }

  /** Loads all that is stored. @throws StoreFailure */
  async load(): Promise<void> {
    const { version, certificates } = await this.#options.store.load();
    this.#takeAll(version, certificates);
  }

  /** Takes over what others have changed. @returns whether there was anything @throws StoreFailure */
  async poll(): Promise<boolean> {
    const since = this.#version;
    const change = await this.#options.store.changesSince(since);
    if (change === 'all') {
      const { version, certificates } = await this.#options.store.load();
      return this.#takeAll(version, certificates);
    }
    // Another poll may have been faster.
    if (change.version <= this.#version) return false;
    this.#version = change.version;
    return this.#takeEach(change.save, change.remove);
  }

  #takeAll(version: number, certificates: readonly Certificate[]): boolean {
    this.#version = Math.max(this.#version, version);
    const ids = new Set(certificates.map(({ id }) => id));
    return this.#takeEach(
      certificates,
      [...this.#certificates.keys()].filter((id) => !ids.has(id)),
    );
  }

  #takeEach(save: readonly Certificate[], remove: readonly string[]): boolean {
    const dropped = remove.filter((id) => this.#drop(id)).length;
    return save.filter((certificate) => this.#take(certificate)).length + dropped > 0;
  }

  /** One that the database has: ours comes back so, too. @returns whether it is news */
  #take(certificate: Certificate): boolean {
    const { id } = certificate;
    const known = this.#certificates.get(id);
    // What could not be stored yet is newer than what is stored, unless somebody else has got one since.
    if (
      id === localRootId ||
      (known !== undefined && this.#unsaved.has(id) && known.updatedAt >= certificate.updatedAt)
    )
      return false;
    if (known?.serial === certificate.serial && known.chain === certificate.chain) return false;
    this.#unsaved.delete(id);
    this.#set(certificate);
    this.#options.onEvent({ type: 'saved', certificate, by: 'store' });
    return true;
  }

  #drop(id: string): boolean {
    if (this.#unsaved.has(id) || !this.#delete(id)) return false;
    this.#options.onEvent({ type: 'removed', id });
    return true;
  }

  #set(certificate: Certificate): void {
    this.#delete(certificate.id);
    this.#certificates.set(certificate.id, certificate);
    for (const name of certificate.names) {
      const ids = this.#byName.get(name);
      if (ids === undefined) this.#byName.set(name, new Set([certificate.id]));
      else ids.add(certificate.id);
    }
    this.#note(certificate);
  }

  #delete(id: string): boolean {
    const certificate = this.#certificates.get(id);
    if (certificate === undefined) return false;
    this.#certificates.delete(id);
    this.#note(certificate);
    for (const name of certificate.names) {
      const ids = this.#byName.get(name);
      ids?.delete(id);
      if (ids?.size === 0) this.#byName.delete(name);
    }
    return true;
  }

  /** A certificate without wildcards matters only to those that share a name with it. */
  #note({ id, names }: Certificate): void {
    if (this.#changed === 'all') return;
    if (names.some((name) => name.startsWith('*'))) {
      this.#changed = 'all';
      return;
    }
    this.#changed.add(id);
    for (const name of names) for (const other of this.#byName.get(name) ?? []) this.#changed.add(other);
  }

  /**
   * Keeps one that was issued: in the database, or, where that fails, in memory until it works again. Resolves when it is served.
   */
  async keep(certificate: Certificate): Promise<void> {
    this.#set({ ...certificate, createdAt: this.get(certificate.id)?.createdAt ?? certificate.createdAt });
    this.#unsaved.add(certificate.id);
    await this.storeUnsaved();
    if (this.#certificates.has(certificate.id)) this.#options.onEvent({ type: 'saved', certificate, by: 'issuer' });
    await this.publish();
  }

  /** Tries to store what could not be stored. Never rejects. */
  storeUnsaved(): Promise<void> {
    if (this.#unsaved.size > 0) this.#storing = this.#storing.then(() => this.#storeEach());
    return this.#storing;
  }

  async #storeEach(): Promise<void> {
    const failed: string[] = [];
    let reason = '';
    for (const id of [...this.#unsaved]) {
      const certificate = this.#certificates.get(id);
      try {
        // The version that it answers with may count changes of others that are not here yet: poll takes them, and ours again.
        if (certificate !== undefined) await this.#options.store.save(certificate);
        // A person has removed it while it was being stored.
        if (certificate !== undefined && !this.#certificates.has(id)) await this.#options.store.remove(id);
        if (this.#certificates.get(id) === certificate) this.#unsaved.delete(id);
      } catch (error) {
        failed.push(id);
        reason = (error as Error).message;
      }
    }
    if (failed.length > 0)
      this.#options.log(
        `certificate ${failed.join(', ')}: served, but could not be stored: ${reason}; this is tried again`,
      );
  }

  /** Keeps a person's own. Resolves when it is served. @throws StoreFailure: nothing has changed then */
  async save(certificate: Certificate): Promise<void> {
    await this.#options.store.save(certificate);
    this.#unsaved.delete(certificate.id);
    this.#set({ ...certificate, createdAt: this.get(certificate.id)?.createdAt ?? certificate.createdAt });
    this.#options.onEvent({ type: 'saved', certificate, by: 'person' });
    await this.publish();
  }

  /** @throws StoreFailure: nothing has changed then */
  async remove(id: string): Promise<boolean> {
    const { removed } = await this.#options.store.remove(id);
    this.#unsaved.delete(id);
    const was = this.#delete(id);
    if (was) this.#options.onEvent({ type: 'removed', id });
    await this.publish();
    return removed || was;
  }

  /**
   * Brings the workers what they should serve; one at a time. Rejects never: what could not be brought goes with the next one.
   */
  publish(): Promise<void> {
    if (this.#publishing !== undefined) {
      this.#again = true;
      return this.#publishing;
    }
    const run = async () => {
      do {
        this.#again = false;
        await this.#publishOnce();
      } while (this.#again);
    };
    this.#publishing = run().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  async #publishOnce(): Promise<void> {
    const now = this.#options.clock.now();
    if (now >= this.#expiresAt) this.#changed = 'all';
    if (this.#changed === 'all') this.#expiresAt = Number.POSITIVE_INFINITY;
    const ids =
      this.#changed === 'all' ? new Set([...this.#certificates.keys(), ...this.#published.keys()]) : this.#changed;
    this.#changed = new Set();
    const save: Certificate[] = [];
    const remove: string[] = [];
    for (const id of ids) {
      const certificate = this.#certificates.get(id);
      if (certificate !== undefined && certificate.notAfter > now)
        this.#expiresAt = Math.min(this.#expiresAt, certificate.notAfter);
      const served = certificate !== undefined && this.#isServed(certificate, now) ? certificate : undefined;
      if (served !== undefined && this.#published.get(id) !== served) save.push(served);
      if (served === undefined && this.#published.has(id)) remove.push(id);
    }
    this.#unpublished = false;
    if (save.length === 0 && remove.length === 0) return;
    try {
      await this.#inTime(this.#options.publisher.certificates({ save: save.map(toServed), remove }));
      for (const certificate of save) this.#published.set(certificate.id, certificate);
      for (const id of remove) this.#published.delete(id);
    } catch (error) {
      this.#unpublished = true;
      this.#changed = 'all';
      this.#options.log(
        `certificates: the workers could not be told: ${(error as Error).message}; this is tried again`,
      );
    }
  }

  /** A worker that stands still must not hold everything up. */
  async #inTime(told: Promise<void>): Promise<void> {
    let cancel = () => {};
    const late = new Promise<never>((_, reject) => {
      const words = `not all of them have said that they have them within ${publishMs / 1000} seconds`;
      cancel = this.#options.clock.after(publishMs, () => reject(new Error(words)));
    });
    await Promise.race([told, late]).finally(() => cancel());
  }

  /**
   * Whether workers should have it. A person's own takes the place of automatic ones whose names it covers. An expired one is
   * served only where nothing else covers its names: a browser then says what is wrong, and a wrong clock takes nothing down.
   */
  #isServed({ names, source, notAfter }: Certificate, now: number): boolean {
    if (notAfter <= now) return !names.every((name) => this.#isCovered(name, now, false));
    return source === 'saved' || !names.every((name) => this.#isCovered(name, now, true));
  }

  /** Whether an unexpired one covers the name. @param own a person's own */
  #isCovered(name: string, now: number, own: boolean): boolean {
    for (const key of [name, wildcardOf(name)])
      for (const id of this.#byName.get(key) ?? []) {
        const { notAfter, source } = this.#certificates.get(id)!;
        if (notAfter > now && (!own || source === 'saved')) return true;
      }
    return false;
  }
}

function toServed({ id, names, chain, key }: Certificate): ServedCertificate {
  return { id, names, chain, key };
}
