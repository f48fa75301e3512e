import type {
  ConfigurationState,
  ResourceChange,
  ResourceValue,
  RevisionInfo,
  StoredSettings,
} from '../../src/admin/resources.ts';
import type { Commit, ConfigurationStore } from '../../src/admin/store.ts';
import type { Route } from '../../src/core/types.ts';
import type { Definition } from '../../src/services/types.ts';

export interface MemoryStore extends ConfigurationStore {
  /** Rejects the next commits with this. */
  failure?: Error;
  /** What `commit` was given. */
  readonly commits: Commit[];
  /** Stores a change as another server would. */
  elsewhere(save: Route[], remove?: string[], more?: Pick<Commit, 'services' | 'settings'>): void;
  /** The callback that `watch` was given. */
  notice?: (revision: number) => Promise<void>;
  /** Makes `changesSince` say that the log does not reach so far. */
  forgets: boolean;
}

/** A configuration store without a database. It keeps all of its history. */
export function memoryStore(initial: Route[] = [], revision = 0, services: Definition[] = []): MemoryStore {
  const first: ConfigurationState = { revision, routes: initial, services, settings: {} };
  const things = new Map<string, ResourceValue>();
  const log: (RevisionInfo & { readonly resources: readonly ResourceChange[] })[] = [];
  for (const route of initial) things.set(`route ${route.id}`, route);
  for (const service of services) things.set(`service ${service.id}`, service);

  function put(commit: Omit<Commit, 'base'>): void {
    const resources: ResourceChange[] = [];
    const set = (kind: ResourceChange['kind'], id: string, after: ResourceValue | null) => {
      const before = things.get(`${kind} ${id}`) ?? null;
      if (after === null) things.delete(`${kind} ${id}`);
      else things.set(`${kind} ${id}`, after);
      resources.push({ kind, id, before, after });
    };
    for (const route of commit.save) set('route', route.id, route);
    for (const id of commit.remove) set('route', id, null);
    for (const service of commit.services?.save ?? []) set('service', service.id, service);
    for (const id of commit.services?.remove ?? []) set('service', id, null);
    const { settings, actor, from = '', reason = '' } = commit;
    if (settings !== undefined) set('settings', 'server', Object.keys(settings).length > 0 ? settings : null);
    revision += 1;
    log.push({ revision, at: revision * 1_000, actor, from, reason, changes: resources.length, resources });
  }

  /** What became of each thing over some revisions. */
  function span(from: number, to: number): ResourceChange[] {
    const found = new Map<string, ResourceChange>();
    for (const { revision: made, resources } of log) {
      if (made <= from || made > to) continue;
      for (const change of resources) {
        const key = `${change.kind} ${change.id}`;
        found.set(key, { ...change, before: found.has(key) ? found.get(key)!.before : change.before });
      }
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, change]) => change);
  }

  function stateAt(at: number): ConfigurationState {
    const state = new Map(things);
    for (const { kind, id, before } of span(at, revision)) {
      if (before === null) state.delete(`${kind} ${id}`);
      else state.set(`${kind} ${id}`, before);
    }
    const of = <T>(kind: string) =>
      [...state]
        .filter(([key]) => key.startsWith(`${kind} `))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, value]) => value as T);
    const [settings = {}] = of<StoredSettings>('settings');
    return { revision: at, routes: of<Route>('route'), services: of<Definition>('service'), settings };
  }

  const isKept = (at: number) => at >= first.revision && at <= revision;
  const store: MemoryStore = {
    commits: [],
    forgets: false,
    elsewhere: (save, remove = [], more = {}) => put({ save, remove, ...more, actor: 'elsewhere' }),
    load: async () => stateAt(revision),
    async commit(change) {
      store.commits.push(change);
      if (store.failure) throw store.failure;
      if (change.base !== revision) return { conflict: revision };
      put(change);
      return { revision, at: revision * 1_000 };
    },
    async changesSince(since) {
      if (store.forgets) return 'too old';
      const changes = span(since, revision);
      const listsOf = <T>(of: string) => ({
        save: changes.flatMap(({ kind, after }) => (kind === of && after !== null ? [after as T] : [])),
        remove: changes.flatMap(({ kind, id, after }) => (kind === of && after === null ? [id] : [])),
      });
      const settings = changes.find(({ kind }) => kind === 'settings');
      return {
        ...{ revision, ...listsOf<Route>('route'), services: listsOf<Definition>('service') },
        ...(settings && { settings: (settings.after ?? {}) as StoredSettings }),
        made: log.filter((entry) => entry.revision > since).map(infoOf),
      };
    },
    history: {
      list: async (limit, before = Number.POSITIVE_INFINITY) =>
        log
          .filter((entry) => entry.revision < before)
          .reverse()
          .slice(0, limit)
          .map(infoOf),
      revision: async (number) => log.find((entry) => entry.revision === number),
      at: async (number) => (isKept(number) ? stateAt(number) : undefined),
      async between(from, to) {
        if (!isKept(from) || !isKept(to)) return undefined;
        if (from <= to) return span(from, to);
        return span(to, from).map((change) => ({ ...change, before: change.after, after: change.before }));
      },
    },
    watch(_known, onRevision) {
      store.notice = onRevision;
      return () => {
        store.notice = undefined;
      };
    },
  };
  return store;
}

function infoOf({ revision, at, actor, from, reason, changes }: RevisionInfo): RevisionInfo {
  return { revision, at, actor, from, reason, changes };
}
