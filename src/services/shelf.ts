import type { Instance, InstanceFilter, InstanceStatus, InstanceView } from './types.ts';

/** An instance with what changes all the time. */
export interface Entry {
  instance: Instance;
  /** Epoch ms. */
  lastHeartbeat: number;
  /** The heartbeat that the store has; 0: it has none that is known of. */
  storedHeartbeat: number;
  /** When it was heard of, in listening time. */
  heardAt: number;
  status: InstanceStatus;
  details: string;
  /** Epoch ms. */
  statusSince: number;
}

/** All instances, by id, by slug, and by slug and url. */
export class Shelf {
  readonly #byId = new Map<string, Entry>();
  readonly #bySlug = new Map<string, Map<string, Entry>>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  /** The instances of a slug, by url. */
  of(slug: string): ReadonlyMap<string, Entry> {
    return this.#bySlug.get(slug) ?? none;
  }

  all(): Iterable<Entry> {
    return this.#byId.values();
  }

  /** Adds it, or puts it in the place of the one with its id. Whoever else has its slug and url must be gone. */
  put(entry: Entry): void {
    const { id, slug, url } = entry.instance;
    this.remove(id);
    this.#byId.set(id, entry);
    const siblings = this.#bySlug.get(slug) ?? new Map<string, Entry>();
    this.#bySlug.set(slug, siblings);
    siblings.set(url, entry);
  }

  remove(id: string): Entry | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    const siblings = this.#bySlug.get(entry.instance.slug)!;
    if (siblings.get(entry.instance.url) === entry) siblings.delete(entry.instance.url);
    if (siblings.size === 0) this.#bySlug.delete(entry.instance.slug);
    return entry;
  }

  /** By slug, then id. Empty fields of the filter say nothing. */
  list(filter: InstanceFilter): InstanceView[] {
    const { slug, host, ip, deploymentId, path } = filter;
    const entries = slug ? this.of(slug).values() : this.#byId.values();
    return [...entries]
      .filter(({ instance }) => {
        if (host && instance.host !== host.toLowerCase()) return false;
        if (ip && instance.ip !== ip) return false;
        if (deploymentId && instance.deploymentId !== deploymentId) return false;
        return !path || instance.path === path;
      })
      .map(viewOf)
      .sort((a, b) => compare(a.slug, b.slug) || compare(a.id, b.id));
  }
}

const none: ReadonlyMap<string, Entry> = new Map();

export function viewOf(entry: Entry): InstanceView {
  const { instance, lastHeartbeat, status, details, statusSince } = entry;
  return { ...instance, lastHeartbeat, status, details, statusSince };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
