import { systemClock } from '../clock.ts';
import { Listening } from './listening.ts';
import { Nodes } from './nodes.ts';
import { isOwnHost } from './own-address.ts';
import { Pools } from './pools.ts';
import { isRefusal, parseRegistration, type Registered, slugFault } from './registration.ts';
import { beatOf, full, isSame, putOf, rowKey, taken } from './registry-rows.ts';
import type { RegisterOutcome, Registry, RegistryOptions, RegistrySettings } from './registry-types.ts';
import { type Entry, Shelf, viewOf } from './shelf.ts';
import type {
  Clock,
  Definition,
  Instance,
  InstanceFilter,
  InstanceStatus,
  InstanceView,
  Node,
  PoolChanges,
  Refusal,
  Registration,
  RegistryRow,
  RegistryStore,
  RegistryWrite,
  ServicePool,
} from './types.ts';
import { WriteBehind } from './write-behind.ts';

const sweepMs = 1_000;
/** Where heartbeats come through a shared database, they may be late by a write, a poll and a busy database, ms. */
const slackMs = 5_000;
/** How long the database may be silent before silence says nothing of instances, ms. */
const deafMs = 3_000;
const defaults = { maxInstances: 20_000, maxInstancesPerService: 1_000 } as const;

/** @see Registry */
export function createRegistry(options: RegistryOptions): Registry {
  return new MemoryRegistry(options);
}

class MemoryRegistry implements Registry {
  readonly #store: RegistryStore;
  readonly #clock: Clock;
  readonly #log: (line: string) => void;
  readonly #settings: RegistrySettings & Record<keyof typeof defaults, number>;
  readonly #shelf = new Shelf();
  readonly #definitions = new Map<string, Definition>();
  readonly #nodes: Nodes;
  readonly #pools: Pools;
  readonly #writes: WriteBehind;
  readonly #listening: Listening;
  #version = 0;
  #polledAt = 0;
  #isPollFailing = false;
  #polling: Promise<void> | undefined;
  #phase: 'new' | 'running' | 'stopped' = 'new';
  #cancelSweep = () => {};

  constructor({ store, publish, settings, clock = systemClock, log }: RegistryOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#settings = { ...defaults, ...settings };
    this.#listening = new Listening(clock.now());
    this.#writes = new WriteBehind({ store, clock, log, onStored: (write) => this.#stored(write) });
    this.#nodes = new Nodes({ settings, clock, writes: this.#writes });
    this.#pools = new Pools({
      ...{ clock, log, publish },
      members: (slug) => [...this.#shelf.of(slug).values()].map(viewOf),
      isDefined: (slug) => this.#definitions.has(slug),
    });
  }

  async start(): Promise<void> {
    this.#take(await this.#store.read(0));
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.#polledAt = this.#clock.now();
    this.#nodes.beat();
    this.#sweepLater();
    await this.#pools.settled();
  }

  register(slug: string, request: Registration): RegisterOutcome | Refusal {
    const fault = slugFault(slug) ?? this.#reservedFault(slug);
    if (fault !== undefined) return fault;
    const parsed = parseRegistration(slug, request);
    if (isRefusal(parsed)) return parsed;
    const circle = this.#circleFault(parsed);
    if (circle !== undefined) return circle;
    const twin = this.#shelf.of(slug).get(parsed.url);
    // Without an id of its own, it is the one that has its url.
    const registered = twin !== undefined && !request.id ? { ...parsed, id: twin.instance.id } : parsed;
    const known = this.#shelf.get(registered.id);
    if (known !== undefined && known.instance.slug !== slug) return taken(registered.id);
    const fullFault = known === undefined && twin === undefined ? this.#fullFault(slug) : undefined;
    if (fullFault !== undefined) return fullFault;
    // The same instance under a new id: the newest is right.
    if (twin !== undefined && twin !== known) this.#drop(twin);
    const entry = this.#place(registered, known ?? twin);
    return { instance: viewOf(entry), isNew: known === undefined && twin === undefined };
  }

  heartbeat(id: string, slug?: string): boolean {
    const entry = this.#shelf.get(id);
    if (entry === undefined || (slug !== undefined && entry.instance.slug !== slug)) return false;
    this.#beat(entry);
    return true;
  }

  deregister(id: string, slug?: string): boolean | Refusal {
    const entry = this.#shelf.get(id);
    if (entry === undefined) return false;
    if (slug !== undefined && entry.instance.slug !== slug) return taken(id);
    this.#drop(entry);
    return true;
  }

  get(id: string): InstanceView | undefined {
    const entry = this.#shelf.get(id);
    return entry === undefined ? undefined : viewOf(entry);
  }

  list(filter: InstanceFilter = {}): InstanceView[] {
    return this.#shelf.list(filter);
  }

  setStatus(id: string, status: InstanceStatus, details: string): void {
    const entry = this.#shelf.get(id);
    if (entry === undefined || (entry.status === status && entry.details === details)) return;
    const isNews = entry.status !== status;
    entry.status = status;
    entry.details = details;
    if (!isNews) return;
    entry.statusSince = this.#clock.now();
    this.#writes.later(rowKey(id), () => beatOf(entry));
  }

  async setDefinitions(list: readonly Definition[]): Promise<void> {
    const before = new Set(this.#definitions.keys());
    for (const definition of list) {
      before.delete(definition.id);
      if (this.#definitions.get(definition.id) === definition) continue;
      this.#definitions.set(definition.id, definition);
      this.#pools.touch(definition.id);
    }
    for (const id of before) {
      this.#definitions.delete(id);
      this.#pools.touch(id);
    }
    if (this.#phase === 'running') await this.#pools.settled();
  }

  definition(id: string): Definition | undefined {
    return this.#definitions.get(id);
  }

  definitions(): Definition[] {
    return [...this.#definitions.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  self(): Node {
    return this.#nodes.self();
  }

  nodes(): Node[] {
    return this.#nodes.list();
  }

  pool(slug: string): ServicePool | undefined {
    return this.#pools.get(slug);
  }

  pools(): ServicePool[] {
    return this.#pools.all();
  }

  watch(listener: (changes: PoolChanges) => void): () => void {
    return this.#pools.watch(listener);
  }

  get version(): number {
    return this.#version;
  }

  heard(): void {
    this.#polledAt = this.#clock.now();
  }

  poll(): Promise<void> {
    if (this.#phase !== 'running') return Promise.resolve();
    this.#polling ??= this.#pollOnce().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async settled(): Promise<void> {
    await Promise.all([this.#writes.flush(), this.#pools.settled()]);
  }

  async stop(): Promise<void> {
    const wasRunning = this.#phase === 'running';
    this.#phase = 'stopped';
    this.#cancelSweep();
    await this.#pools.stop();
    if (wasRunning) await this.#writes.stop();
  }

  #reservedFault(slug: string): Refusal | undefined {
    if (!this.#settings.reserved?.includes(slug)) return undefined;
    const fault = `'${slug}' is oo's own; expected another name`;
    return { code: 'invalid', field: 'slug', fault, hint: 'Choose a name that no built-in path has.' };
  }

  #circleFault({ host, ip, port }: Registered): Refusal | undefined {
    if (!this.#settings.ownPorts?.().includes(port) || !(isOwnHost(host) || (ip !== '' && isOwnHost(ip))))
      return undefined;
    const fault = 'is this server itself: requests would go in a circle; expected another address or port';
    return { code: 'invalid', field: 'url', fault, hint: 'Register the address that the instance itself listens on.' };
  }

  #fullFault(slug: string): Refusal | undefined {
    const { maxInstances, maxInstancesPerService } = this.#settings;
    const hint = 'Remove those that are gone (oo instance rm ID), or let them expire.';
    if (this.#shelf.of(slug).size >= maxInstancesPerService)
      return full(`${slug} has ${maxInstancesPerService} instances`, hint);
    return this.#shelf.size >= maxInstances ? full(`there are ${maxInstances} instances`, hint) : undefined;
  }

  /** @param known what it was until now, perhaps under another id */
  #place(registered: Registered, known: Entry | undefined): Entry {
    const now = this.#clock.now();
    const nodeUrl = this.#settings.self.url;
    const next: Instance = { ...registered, nodeUrl, createdAt: known?.instance.createdAt ?? now };
    if (known !== undefined && isSame(known.instance, next)) {
      this.#beat(known);
      return known;
    }
    const moved = known?.instance.url !== next.url;
    const entry: Entry = {
      instance: Object.freeze(next),
      lastHeartbeat: now,
      storedHeartbeat: known?.storedHeartbeat ?? 0,
      heardAt: this.#listening.now,
      status: moved ? 'Unknown' : known.status,
      details: moved ? '' : known.details,
      statusSince: moved ? now : known.statusSince,
    };
    this.#shelf.put(entry);
    this.#writes.change(rowKey(next.id), () => putOf(entry));
    this.#pools.touch(next.slug);
    return entry;
  }

  #beat(entry: Entry): void {
    const { id, ttlMs } = entry.instance;
    entry.lastHeartbeat = this.#clock.now();
    entry.heardAt = this.#listening.now;
    if (!this.#settings.shared || entry.lastHeartbeat - entry.storedHeartbeat < ttlMs / 2) return;
    this.#writes.later(rowKey(id), () => beatOf(entry));
  }

  /** @param unlessBeatenSince where it has only been silent */
  #drop(entry: Entry, unlessBeatenSince?: number): void {
    const { id, slug } = entry.instance;
    this.#shelf.remove(id);
    const write = { do: 'remove', kind: 'instance', id, unlessBeatenSince } as const;
    this.#writes.change(rowKey(id), () => write, unlessBeatenSince === undefined);
    this.#pools.touch(slug);
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#clock.after(sweepMs, () => {
      if (this.#phase !== 'running') return;
      this.#sweep();
      this.#sweepLater();
    });
  }

  #sweep(): void {
    const now = this.#clock.now();
    const { shared = false } = this.#settings;
    const heard = this.#listening.at(now, shared && now - this.#polledAt > deafMs);
    const slack = shared ? slackMs : 0;
    for (const entry of this.#shelf.all()) {
      const { instance, heardAt, storedHeartbeat } = entry;
      if (heard - heardAt < instance.ttlMs + slack) continue;
      this.#drop(entry, shared ? storedHeartbeat : undefined);
      this.#log(
        `registry: ${instance.url} of ${instance.slug} has expired: no heartbeat in ${instance.ttlMs / 1_000} s`,
      );
    }
    this.#nodes.sweep();
    this.#pools.sweep();
  }

  async #pollOnce(): Promise<void> {
    try {
      const changes = await this.#store.read(this.#version);
      if (this.#phase !== 'running') return;
      this.#polledAt = this.#clock.now();
      this.#take(changes);
      if (this.#isPollFailing) this.#log('registry: the database can be read again');
      this.#isPollFailing = false;
    } catch (error) {
      if (!this.#isPollFailing)
        this.#log(`registry: what other servers change is not seen, nothing expires: ${(error as Error).message}`);
      this.#isPollFailing = true;
    }
  }

  #take({ version, whole, rows, removed }: Awaited<ReturnType<RegistryStore['read']>>): void {
    this.#version = version;
    for (const row of rows) if (!this.#writes.has(`${row.kind} ${row.id}`)) this.#takeRow(row);
    for (const { kind, id } of removed) this.#takeAway(kind, id);
    if (!whole) return;
    const ids = new Set(rows.map(({ kind, id }) => `${kind} ${id}`));
    for (const { instance } of [...this.#shelf.all()])
      if (!ids.has(rowKey(instance.id))) this.#takeAway('instance', instance.id);
  }

  #takeRow(row: RegistryRow): void {
    if (row.kind === 'node') return this.#nodes.take(row.value);
    const { lastHeartbeat, status, details, statusSince, ...instance } = row.value;
    const known = this.#shelf.get(row.id);
    if (known !== undefined && known.storedHeartbeat !== lastHeartbeat) {
      // Another machine's clock may be wrong: what counts is that it is news.
      known.heardAt = this.#listening.now;
      known.storedHeartbeat = lastHeartbeat;
      known.lastHeartbeat = Math.max(known.lastHeartbeat, lastHeartbeat);
    }
    if (known !== undefined && isSame(known.instance, instance)) return;
    const twin = this.#shelf.of(instance.slug).get(instance.url);
    if (twin !== undefined) this.#shelf.remove(twin.instance.id);
    const moved = known !== undefined && known.instance.url !== instance.url;
    this.#shelf.put({
      instance: Object.freeze({ ...instance, tags: Object.freeze([...instance.tags]) }),
      ...{ lastHeartbeat, storedHeartbeat: lastHeartbeat, heardAt: this.#listening.now },
      // Each server goes by its own probes; another's word is better than none.
      status: moved ? 'Unknown' : (known?.status ?? status),
      details: moved ? '' : (known?.details ?? details),
      statusSince: moved ? this.#clock.now() : (known?.statusSince ?? statusSince),
    });
    this.#pools.touch(instance.slug);
    if (known !== undefined && known.instance.slug !== instance.slug) this.#pools.touch(known.instance.slug);
  }

  #takeAway(kind: RegistryRow['kind'], id: string): void {
    if (this.#writes.has(`${kind} ${id}`)) return;
    if (kind === 'node') return this.#nodes.forget(id);
    const entry = this.#shelf.remove(id);
    if (entry !== undefined) this.#pools.touch(entry.instance.slug);
  }

  #stored(write: RegistryWrite): void {
    if (write.do === 'remove') return;
    const [id, at] =
      write.do === 'beat'
        ? [write.id, write.lastHeartbeat]
        : [write.row.id, write.row.kind === 'instance' ? write.row.value.lastHeartbeat : 0];
    const entry = this.#shelf.get(id);
    if (entry !== undefined && at > 0) entry.storedHeartbeat = at;
  }
}
