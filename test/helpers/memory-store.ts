import type { RouteStore } from '../../src/admin/store.ts';
import type { Route, RouteChange } from '../../src/core/types.ts';

export interface MemoryStore extends RouteStore {
  /** Rejects the next commits with this. */
  failure?: Error;
  /** What `commit` was given. */
  readonly commits: Parameters<RouteStore['commit']>[0][];
  /** Stores a change as another server would. */
  elsewhere(save: Route[], remove?: string[]): void;
  /** The callback that `watch` was given. */
  notice?: (revision: number) => Promise<void>;
  /** Makes `changesSince` say that the log does not reach so far. */
  forgets: boolean;
}

/** A route store without a database. */
export function memoryStore(initial: Route[] = [], revision = 0): MemoryStore {
  const routes = new Map(initial.map((route) => [route.id, route]));
  const log: Omit<RouteChange, 'base'>[] = [];
  const put = (save: readonly Route[], remove: readonly string[]) => {
    for (const route of save) routes.set(route.id, route);
    for (const id of remove) routes.delete(id);
    revision += 1;
    log.push({ revision, save, remove });
  };
  const store: MemoryStore = {
    commits: [],
    forgets: false,
    elsewhere: (save, remove = []) => put(save, remove),
    load: async () => ({ revision, routes: [...routes.values()] }),
    async commit(change) {
      store.commits.push(change);
      if (store.failure) throw store.failure;
      if (change.base !== revision) return { conflict: revision };
      put(change.save, change.remove);
      return { revision };
    },
    async changesSince(since) {
      if (store.forgets) return 'too old';
      const later = log.filter((entry) => entry.revision > since);
      return { revision, save: later.flatMap(({ save }) => save), remove: later.flatMap(({ remove }) => remove) };
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
