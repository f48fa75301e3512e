import { createConfigurationStore } from '../../db/configuration.ts';
import type { Connection } from '../../db/connection.ts';
import { StoreError } from '../../db/failure.ts';
import { currentSchema, requireSchema } from '../../db/migrations.ts';
import { again } from '../../db/retry.ts';
import { storedNumbers } from '../../db/watch.ts';
import type { ConfigurationState } from '../admin/resources.ts';
import type { Route } from '../core/types.ts';
import { proveNames, telling } from './fault.ts';
import { createPull, type Followed, startWatch, type Watch } from './follow.ts';
import { commitOf, planRemove, planSave, proven, proveSaveOptions, type RoutePlan } from './plan.ts';
import { applied, frozen } from './state.ts';
import type { FollowOptions, OnRoutes, RouteStore, SaveOptions, StoreConflict } from './types.ts';

/** How often a change is made again after others came first. */
const maxConflicts = 10;
/** Before that, a random part of this, ms; twice as long each time, so that many at once do not meet again. */
const pauseMs = 10;

type HistoryQuery = NonNullable<Parameters<RouteStore['history']>[0]>;

export interface StoreParts {
  readonly connection: Connection;
  readonly readOnly: boolean;
  /** Gives up what keeps others away. */
  readonly release: () => void;
}

/** A store over an open database. What it read last is kept, so that a look that finds nothing new is one small query. */
export function createStore({ connection, readOnly, release }: StoreParts): RouteStore {
  const { where } = connection;
  const stored = createConfigurationStore(connection);
  const watches = new Set<Watch>();
  let isClosed = false;
  let state: ConfigurationState | undefined;
  // Looks may end in another order than they began: a later one has seen the later state, or a backup that was restored.
  let begun = 0;
  let shown = 0;
  /** The revision that `routes` gave last. */
  let given: number | undefined;
  // Of a file, that nobody else writes, one after the other. Behind a URL none waits for another: a Worker's request may be cut short.
  let turn: Promise<unknown> = Promise.resolve();

  function open(): void {
    if (isClosed)
      throw new StoreError('OO_STORE_UNOPENABLE', `The store ${where} is closed.`, 'Open it anew with openStore.');
  }

  async function revision(): Promise<number> {
    open();
    try {
      const numbers = await again(connection, () => storedNumbers(connection));
      if (numbers.schema < currentSchema) await requireSchema(connection);
      return numbers.revision;
    } catch (error) {
      // Where tables are missing, this says so.
      if (error instanceof StoreError && error.code === 'OO_STORE_UNREACHABLE') throw error;
      await requireSchema(connection);
      throw error;
    }
  }

  async function read(base: ConfigurationState | undefined): Promise<ConfigurationState> {
    const asked = revision();
    if (base === undefined) {
      // Together: two round trips are one.
      const [, loaded] = await Promise.allSettled([asked, stored.load()]);
      await asked;
      if (loaded.status === 'rejected') throw loaded.reason;
      return frozen(loaded.value);
    }
    const now = await asked;
    if (base.revision === now) return base;
    const changes = await stored.changesSince(base.revision);
    return changes === 'too old' ? frozen(await stored.load()) : applied(base, changes);
  }

  async function look(): Promise<ConfigurationState> {
    begun += 1;
    const mine = begun;
    return show(await read(state), mine);
  }

  function show(next: ConfigurationState, mine: number): ConfigurationState {
    if (mine < shown) return state as ConfigurationState;
    shown = mine;
    state = next;
    return next;
  }

  async function change<R extends { revision: number }>(
    options: SaveOptions,
    plan: (state: ConfigurationState) => RoutePlan<R>,
  ): Promise<R | StoreConflict> {
    if (connection.shared) return changeNow(options, plan);
    const changed = turn.then(() => changeNow(options, plan));
    turn = changed.catch(() => {});
    return changed;
  }

  async function changeNow<R extends { revision: number }>(
    options: SaveOptions,
    plan: (state: ConfigurationState) => RoutePlan<R>,
  ): Promise<R | StoreConflict> {
    open();
    if (readOnly)
      throw new StoreError(
        'OO_STORE_READONLY',
        `The store ${where} was opened with readOnly: true.`,
        'Open it without, to save.',
      );
    for (let attempt = 0; attempt < maxConflicts; attempt++) {
      if (attempt > 0) await pause(Math.random() * pauseMs * 2 ** attempt);
      const base = await look();
      if (options.revision !== undefined && options.revision !== base.revision) return { conflict: base.revision };
      const { save, remove, told } = plan(base);
      if (save.length === 0 && remove.length === 0) return { ...told, revision: base.revision } as R;
      begun += 1;
      const mine = begun;
      const made = await stored.commit(commitOf({ save, remove }, base, options));
      if ('conflict' in made) continue;
      const services = { save: [], remove: [] };
      show(applied(base, { revision: made.revision, save, remove, services, made: [] }), mine);
      for (const watch of watches) watch.wake();
      return { ...told, revision: made.revision } as R;
    }
    const message = `The database ${where} changes faster than it can be written.`;
    throw new StoreError('OO_STORE_BUSY', message, 'Try again when fewer changes are being made.');
  }

  const followed: Followed = { where, look: () => telling(where, look) };

  return {
    where,
    readOnly,
    routes: () =>
      telling(where, async () => {
        const { routes, revision } = await look();
        given = revision;
        return routes;
      }),
    revision: () => telling(where, revision),
    async save(list: readonly Route[], options: SaveOptions = {}) {
      const routes = proven(list);
      proveSaveOptions('save', options);
      return telling(where, () => change(options, (present) => planSave(routes, present)));
    },
    async remove(ids: readonly string[], options: SaveOptions = {}) {
      if (!Array.isArray(ids)) throw new TypeError("ids are no list; expected such as ['app.example.com']");
      proveSaveOptions('remove', options);
      return telling(where, () => change(options, (present) => planRemove(ids, present)));
    },
    history: (query = {}) =>
      telling(where, async () => {
        const { limit, before } = proveQuery(query);
        await revision();
        return stored.history.list(limit, before);
      }),
    watch(onRoutes: OnRoutes, options: FollowOptions = {}) {
      open();
      const watch = startWatch(followed, onRoutes, options, given);
      watches.add(watch);
      return () => {
        watches.delete(watch);
        watch.stop();
      };
    },
    pull: (onRoutes: OnRoutes, options: FollowOptions = {}) =>
      createPull(followed, onRoutes, options, () => Date.now()),
    close() {
      if (isClosed) return;
      isClosed = true;
      for (const watch of watches) watch.stop();
      watches.clear();
      connection.close();
      release();
    },
  };
}

/** @throws TypeError */
function proveQuery(query: HistoryQuery): { readonly limit: number; readonly before: number | undefined } {
  proveNames('history', query, ['limit', 'before']);
  const { limit = 100, before } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new TypeError(`limit is '${limit}'; expected a whole number from 1 to 1,000`);
  if (before !== undefined && !Number.isSafeInteger(before))
    throw new TypeError(`before is '${before}'; expected the number of a revision`);
  return { limit, before };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
