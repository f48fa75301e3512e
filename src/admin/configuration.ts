import { compile, draft, getRoute, type RouteTable, routesOf } from '../core/table.ts';
import type { Route, RouteChange } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import { keepRollout, sameRoute } from './keep-rollout.ts';
import type {
  Applied,
  ApplyRefused,
  ApplyRequest,
  History,
  OwnCertificates,
  ResourceChange,
  RevisionInfo,
  StoredSettings,
} from './resources.ts';
import { type Fault, normalId, readRoutes } from './schema.ts';
import type { By, RouteStore } from './store.ts';

/** How often a save is made again after other servers came first. */
const maxConflicts = 10;

/** By whom, and under which condition. */
export interface ChangeOptions extends By {
  /** Change only if this still is the revision. */
  readonly ifMatch?: number;
  /** Plan and prove, but store nothing: what is told is what would be done. Default false. */
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends ChangeOptions {
  /** Without it, a request with certificates is refused. */
  readonly certificates?: OwnCertificates;
}

/** The routes were refused; nothing was stored. */
export interface Refused {
  readonly faults: readonly Fault[];
}

/** `ifMatch` was another revision than this one; nothing was stored. */
export interface Conflict {
  readonly conflict: number;
}

/** Ids in normal form. Without any change the revision stays what it was. */
export interface Saved {
  readonly revision: number;
  readonly routes: readonly Route[];
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly unchanged: readonly string[];
  readonly changes: readonly ResourceChange[];
}

export interface SavedServices extends Omit<Saved, 'routes'> {
  readonly services: readonly Definition[];
}

export interface Removed {
  readonly revision: number;
  readonly removed: readonly string[];
  /** Ids that nothing had, as they were given. */
  readonly missing: readonly string[];
  readonly changes: readonly ResourceChange[];
}

/** The configuration of this server: what is stored, and the only way to change it. */
export interface Configuration {
  /** All routes, compiled, with their revision. Replaced by the next one, never changed. */
  readonly table: RouteTable;
  /** All routes, by id. */
  list(): readonly Route[];
  get(id: string): Route | undefined;
  /**
   * Proves, stores and publishes. Resolves when every worker has it. Rejects with a StoreFailure.
   * A route without `rollout` keeps what deploys, pauses and stops have made of the present one: see `keepRollout`.
   */
  save(routes: readonly unknown[], options: ChangeOptions): Promise<Saved | Refused | Conflict>;
  /**
   * Changes one route by what it is at that moment, so that no change of others is lost. Otherwise as `save`; but what it is given is what is
   * stored, a rollout that is left out is gone.
   * @param change is called again where another server came first; what it throws rejects, and nothing is stored
   * @returns undefined if there is no such route
   */
  update(
    id: string,
    change: (route: Route) => Route,
    options: ChangeOptions,
  ): Promise<Saved | Refused | Conflict | undefined>;
  /** Removes the routes with these ids; ids that none has are no fault. Rejects with a StoreFailure. */
  remove(ids: readonly string[], options: ChangeOptions): Promise<Removed | Conflict>;
  /** Definitions of services, by id. */
  services(): readonly Definition[];
  /** The very object until another is saved. */
  service(id: string): Definition | undefined;
  settings(): StoredSettings;
  /** As `save`, for definitions. */
  saveServices(services: readonly unknown[], options: ChangeOptions): Promise<SavedServices | Refused | Conflict>;
  /** As `update`, but what is not there yet is made. @param change gets undefined then */
  updateService(
    id: string,
    change: (definition: Definition | undefined) => Definition,
    options: ChangeOptions,
  ): Promise<SavedServices | Refused | Conflict>;
  removeServices(ids: readonly string[], options: ChangeOptions): Promise<Removed | Conflict>;
  /**
   * Proves all of a request, and stores all of it as one revision, or nothing. Its certificates come first: one that no route uses changes nothing.
   * Something that belongs to another owner than the request, or the thing itself, says is a fault.
   */
  apply(request: ApplyRequest, options: ApplyOptions): Promise<Applied | ApplyRefused | Conflict>;
  /**
   * Makes everything as it was at a revision, as a new one. What a later oo, or a later setting, would refuse is a fault.
   * @returns undefined if that revision is not kept, or not there yet
   */
  rollback(revision: number, options: ChangeOptions): Promise<Applied | ApplyRefused | Conflict | undefined>;
  readonly history: History;
  /** Takes over what other servers have stored, now. Rejects with a StoreFailure. */
  refresh(): Promise<void>;
  /** Stops following other servers, and resolves when the changes under way are done. */
  close(): Promise<void>;
}

/** A revision that is in force now. */
export interface ConfigurationChange extends Omit<RevisionInfo, 'changes'> {
  readonly changes: readonly ResourceChange[];
}

export interface ConfigurationOptions {
  readonly store: RouteStore;
  /** Hands a stored change to the workers; resolves when all of them have it. Called for one change at a time, in order. */
  readonly publish: (change: RouteChange) => Promise<void>;
  /** Hands the definitions as they are now to the registry; resolves when all workers have them. Likewise. */
  readonly publishServices?: (services: readonly Definition[]) => Promise<void>;
  /** Told of the stored settings: at the start, and after every change of them. */
  readonly onSettings?: (settings: StoredSettings) => void;
  /** Told of each revision that is in force now, also of those of other servers. */
  readonly onChange?: (change: ConfigurationChange) => void;
  /** Told of what went wrong where nobody waits for an answer. Default: nothing. */
  readonly onError?: (error: Error) => void;
}

/**
 * Loads the configuration from the store and keeps it in step with it. A change is proven, then stored, then swapped in,
 * then published; changes take their turn. Other servers' changes come in through the store's `watch`.
 * Rejects with a StoreFailure. Stored routes that this program refuses are left out, and `onError` is told.
 */
export async function createConfiguration(options: ConfigurationOptions): Promise<Configuration> {
  const { store, publish, onError = () => {} } = options;
  /** Stored ids of routes that are left out of the table: they can be removed, or saved anew. */
  let leftOut = new Set<string>();
  let table = await load();
  let sorted: readonly Route[] | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  async function load(): Promise<RouteTable> {
    const { revision, routes } = await store.load();
    const compiled = compile(routes, revision);
    leftOut = new Set();
    if ('table' in compiled) return compiled.table;
    const bad = new Set(compiled.faults.map((fault) => fault.index));
    for (const { id, message } of compiled.faults) {
      leftOut.add(id);
      onError(new Error(`The stored route ${id} is left out: ${message}`));
    }
    const rest = compile(
      routes.filter((_, index) => !bad.has(index)),
      revision,
    );
    if ('table' in rest) return rest.table;
    throw new Error('The stored routes cannot be compiled.');
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  /** Swaps the next table in and publishes what led to it. */
  async function swap(change: RouteChange): Promise<void> {
    const next = draft(table);
    for (const route of change.save) next.save(route);
    for (const id of change.remove) next.remove(id);
    await show(next.finish(change.revision), change);
  }

  async function show(next: RouteTable, change: RouteChange): Promise<void> {
    table = next;
    sorted = undefined;
    try {
      await publish(change);
    } catch (error) {
      // It is stored and in force here: the change stands.
      onError(error as Error);
    }
  }

  /** Takes over what other servers have stored. */
  async function catchUp(): Promise<void> {
    const base = table.revision;
    const changes = await store.changesSince(base);
    if (changes === 'too old') return reload();
    if (changes.revision === base) return;
    const refused = readRoutes(changes.save);
    if ('routes' in refused) return swap({ ...changes, base });
    // Another version of oo stored what this one refuses.
    return reload();
  }

  async function reload(): Promise<void> {
    const next = await load();
    await show(next, difference(table, next));
  }

  function blocked(options: ChangeOptions): Conflict | undefined {
    const { ifMatch } = options;
    return ifMatch === undefined || ifMatch === table.revision ? undefined : { conflict: table.revision };
  }

  /** Plans against the current table and stores; where another server came first, catches up and plans again. */
  async function change<P extends { save: readonly Route[]; remove: readonly string[] }>(
    options: ChangeOptions,
    plan: () => P,
  ): Promise<P | Conflict> {
    // The caller may have read a revision from another server that this one has yet to see.
    if (blocked(options) && store.watch) await catchUp();
    for (let attempt = 0; attempt < maxConflicts; attempt++) {
      const conflict = blocked(options);
      if (conflict) return conflict;
      const planned = plan();
      const { save, remove } = planned;
      if (save.length + remove.length === 0) return planned;
      const base = table.revision;
      const stored = await store.commit({ base, save, remove, actor: options.actor, reason: options.reason });
      if ('revision' in stored) {
        await swap({ revision: stored.revision, base, save, remove });
        return planned;
      }
      await catchUp();
    }
    return { conflict: table.revision };
  }

  async function save(list: readonly unknown[], options: ChangeOptions): Promise<Saved | Refused | Conflict> {
    const read = readRoutes(list);
    if ('faults' in read) return read;
    const planned = await change(options, () =>
      plan(read.routes.map((route) => keepRollout(route, present(route.id)))),
    );
    return 'conflict' in planned ? planned : saved(planned);
  }

  async function update(id: string, next: (route: Route) => Route, options: ChangeOptions) {
    let refused: Refused | 'missing' | undefined;
    const planned = await change(options, () => {
      const route = present(id);
      const read = route === undefined ? undefined : readRoutes([next(route)]);
      refused = read === undefined ? 'missing' : 'faults' in read ? read : undefined;
      const routes = read !== undefined && 'routes' in read ? read.routes : [];
      if (routes.length > 0 && routes[0].id !== route?.id)
        throw new TypeError(`the route ${route?.id} was changed into ${routes[0].id}; expected the same id`);
      return plan(routes);
    });
    if (refused !== undefined) return refused === 'missing' ? undefined : refused;
    return 'conflict' in planned ? planned : saved(planned);
  }

  function present(id: string): Route | undefined {
    return getRoute(table, id)?.route;
  }

  /** What saving these routes, proven, changes. */
  function plan(routes: readonly Route[]) {
    const olds = routes.map(({ id }) => present(id));
    const idsOf = (is: (route: Route, old: Route | undefined) => boolean) =>
      routes.filter((route, i) => is(route, olds[i])).map(({ id }) => id);
    return {
      routes,
      save: routes.filter((route, i) => !sameRoute(route, olds[i])),
      remove: [],
      created: idsOf((_, old) => old === undefined),
      updated: idsOf((route, old) => old !== undefined && !sameRoute(route, old)),
      unchanged: idsOf((route, old) => sameRoute(route, old)),
    };
  }

  function saved({ routes, created, updated, unchanged }: ReturnType<typeof plan>): Saved {
    return { revision: table.revision, routes, created, updated, unchanged, changes: [] };
  }

  async function remove(ids: readonly string[], options: ChangeOptions): Promise<Removed | Conflict> {
    const planned = await change(options, () => {
      const found = new Set<string>();
      const missing: string[] = [];
      for (const given of ids) {
        const id = normalId(given);
        if (id !== undefined && getRoute(table, id)) found.add(id);
        else if (leftOut.has(given)) found.add(given);
        else missing.push(given);
      }
      return { save: [], remove: [...found], missing };
    });
    if ('conflict' in planned) return planned;
    return { revision: table.revision, removed: planned.remove, missing: planned.missing, changes: [] };
  }

  const stop = store.watch?.(
    () => table.revision,
    () => inTurn(catchUp),
    onError,
  );

  return {
    get table() {
      return table;
    },
    list() {
      sorted ??= [...routesOf(table)].map(({ route }) => route).sort((a, b) => (a.id < b.id ? -1 : 1));
      return sorted;
    },
    get: (id) => getRoute(table, id)?.route,
    save: (routes, options) => inTurn(() => save(routes, options)),
    update: (id, next, options) => inTurn(() => update(id, next, options)),
    remove: (ids, options) => inTurn(() => remove(ids, options)),
    async close() {
      stop?.();
      await turn;
    },
  } as Partial<Configuration> as Configuration;
}

/** The change that leads from one table to another. */
function difference(from: RouteTable, to: RouteTable): RouteChange {
  const save: Route[] = [];
  const remove: string[] = [];
  for (const { id, route } of routesOf(to)) if (!sameRoute(route, getRoute(from, id)?.route)) save.push(route);
  for (const { id } of routesOf(from)) if (!getRoute(to, id)) remove.push(id);
  return { revision: to.revision, base: from.revision, save, remove };
}
