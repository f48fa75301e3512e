import type { Route } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import type {
  ApplyOptions,
  ChangeOptions,
  Configuration,
  ConfigurationOptions,
  Conflict,
  Refused,
  Removed,
  Saved,
  SavedServices,
} from './configuration-types.ts';
import { readDefinitions } from './definitions.ts';
import { isMapping } from './fault.ts';
import { type HandlerProofs, handlerProofs } from './handler-changes.ts';
import { isSame } from './keep-rollout.ts';
import { LiveConfiguration } from './live-configuration.ts';
import { keptRoute, keptService, planApply, planRemoval, planRoutes, planServices, readApply } from './plan.ts';
import type { Applied, ApplyFault, ApplyRefused, ApplyRequest, History, ResourceChange } from './resources.ts';
import { type Fault, readRoutes } from './schema.ts';
import { readSettings } from './settings.ts';

export type * from './configuration-types.ts';

/** What a rollback does; `unchanged` is -1 where there is no such revision. */
interface Undone {
  readonly changes: readonly ResourceChange[];
  readonly unchanged: number;
}

/**
 * Loads the configuration from the store and keeps it in step with it. A change is proven, then stored, then swapped in,
 * then published; changes take their turn. Other servers' changes come in through the store's `watch`.
 * Rejects with a StoreFailure. Stored routes that this program refuses are left out, and `onError` is told.
 */
export async function createConfiguration(options: ConfigurationOptions): Promise<Configuration> {
  const live = await LiveConfiguration.open(options);
  const stored = options.store.history;
  const history: History = {
    list: (limit, before) => stored.list(limit, before),
    revision: (revision) => stored.revision(revision),
    at: (revision) => stored.at(revision),
    // What was changed and changed back is no difference, in whatever order its fields are now.
    between: async (from, to) =>
      (await stored.between(from, to))?.filter(({ before, after }) => !isSame(before, after)),
  };

  async function save(
    list: readonly unknown[],
    by: ChangeOptions,
    proofs: HandlerProofs,
  ): Promise<Saved | Refused | Conflict> {
    const read = readRoutes(list);
    if ('faults' in read) return read;
    const ids = read.routes.map(({ id }) => id);
    const planned = await live.change(by, (present) =>
      provenPlan(
        planRoutes(
          read.routes.map((route) => keptRoute(route, present.route(route.id))),
          present,
        ),
        (changes) => proofs.faultsOf(changes, ids),
      ),
    );
    return 'things' in planned ? savedRoutes(planned) : planned;
  }

  async function update(id: string, next: (route: Route) => Route, by: ChangeOptions) {
    const planned = await live.change(by, (present) => {
      const route = present.route(id);
      if (route === undefined) return { changes: [] };
      const read = readRoutes([next(route)]);
      if ('faults' in read) return read;
      sameId('route', route.id, read.routes[0].id);
      return planRoutes(read.routes, present);
    });
    if ('conflict' in planned || 'faults' in planned) return planned;
    return 'things' in planned ? savedRoutes(planned) : undefined;
  }

  async function saveServices(
    list: readonly unknown[],
    by: ChangeOptions,
  ): Promise<SavedServices | Refused | Conflict> {
    const read = readDefinitions(list);
    if ('faults' in read) return read;
    const planned = await live.change(by, (present) =>
      planServices(
        read.definitions.map((service) => keptService(service, present.service(service.id))),
        present,
      ),
    );
    return 'things' in planned ? savedServices(planned) : planned;
  }

  async function updateService(
    id: string,
    next: (definition: Definition | undefined) => Definition,
    by: ChangeOptions,
  ): Promise<SavedServices | Refused | Conflict> {
    const planned = await live.change(by, (present) => {
      const read = readDefinitions([next(present.service(id))]);
      if ('faults' in read) return read;
      sameId('service', id, read.definitions[0].id);
      return planServices(read.definitions, present);
    });
    return 'things' in planned ? savedServices(planned) : planned;
  }

  async function removeOf(kind: 'route' | 'service', ids: readonly string[], by: ChangeOptions) {
    const planned = await live.change(by, (present) => planRemoval(kind, ids, present));
    return 'conflict' in planned ? planned : ({ revision: live.revision, ...planned } satisfies Removed);
  }

  async function apply(
    request: ApplyRequest,
    by: ApplyOptions,
    proofs: HandlerProofs,
  ): Promise<Applied | ApplyRefused | Conflict> {
    const wanted = readApply(request);
    const { certificates: list = [] } = request;
    const proven = await checkCertificates(request, by);
    if ('faults' in wanted || 'faults' in proven)
      return { faults: [wanted, proven].flatMap((read) => ('faults' in read ? read.faults : [])) };
    const storeThem = list.length === 0 ? undefined : () => by.certificates!.store(list);
    const ids = wanted.routes.map(({ id }) => id);
    const planned = await live.change(
      by,
      (present) =>
        provenPlan(planApply(wanted, present), async (changes) => ofRoutes(await proofs.faultsOf(changes, ids))),
      storeThem,
    );
    if ('conflict' in planned || 'faults' in planned) return planned;
    return { revision: live.revision, ...planned, certificates: proven.ids };
  }

  async function rollback(
    revision: number,
    by: ChangeOptions,
    proofs: HandlerProofs,
  ): Promise<Applied | ApplyRefused | Conflict | undefined> {
    const reason = by.reason ? `rollback to @${revision}: ${by.reason}` : `rollback to @${revision}`;
    const planned = await live.change({ ...by, reason }, async (present): Promise<Undone | ApplyRefused> => {
      const changes = await history.between(present.table.revision, revision);
      if (changes === undefined) return { changes: [], unchanged: -1 };
      const faults = faultsOf(changes);
      if (faults.length === 0) faults.push(...ofRoutes(await proofs.faultsOf(changes)));
      if (faults.length > 0) return { faults };
      const there = present.table.size + present.serviceCount;
      const touched = changes.filter(({ kind, before }) => kind !== 'settings' && before !== null).length;
      return { changes, unchanged: there - touched };
    });
    if ('conflict' in planned || 'faults' in planned) return planned;
    if (planned.unchanged < 0) return undefined;
    return { revision: live.revision, ...planned, certificates: [] };
  }

  /** Does a change in its turn. Handlers start before that, so that nobody else waits for them; what others have changed by then is proven in it. */
  function proven<T>(
    ahead: (proofs: HandlerProofs) => Promise<unknown> | undefined,
    work: (proofs: HandlerProofs) => Promise<T>,
  ): Promise<T> {
    const proofs = handlerProofs(options.proveHandlers);
    const first = options.proveHandlers === undefined ? undefined : ahead(proofs);
    const turn = () => live.inTurn(() => work(proofs));
    return first === undefined ? turn() : first.then(turn);
  }

  function routesAhead(list: readonly unknown[] = []) {
    const read = list.some((item) => isMapping(item) && item.handler !== undefined) ? readRoutes(list) : undefined;
    if (read === undefined || 'faults' in read) return () => undefined;
    return (proofs: HandlerProofs) => proofs.faultsOf(planRoutes(read.routes, live.snapshot).changes);
  }

  function rollbackAhead(revision: number) {
    return async (proofs: HandlerProofs) => {
      const changes = (await history.between(live.revision, revision)) ?? [];
      if (faultsOf(changes).length === 0) await proofs.faultsOf(changes);
    };
  }

  function savedRoutes({ things, ...plan }: ReturnType<typeof planRoutes>): Saved {
    return { revision: live.revision, routes: things, ...plan };
  }

  function savedServices({ things, ...plan }: Exclude<ReturnType<typeof planServices>, Refused>): SavedServices {
    return { revision: live.revision, services: things, ...plan };
  }

  return {
    get table() {
      return live.snapshot.table;
    },
    list: () => live.snapshot.routeList,
    get: (id) => live.snapshot.route(id),
    services: () => live.snapshot.services(),
    service: (id) => live.snapshot.service(id),
    settings: () => live.snapshot.settings,
    history,
    save: (routes, by) => proven(routesAhead(routes), (proofs) => save(routes, by, proofs)),
    update: (id, next, by) => live.inTurn(() => update(id, next, by)),
    remove: (ids, by) => live.inTurn(() => removeOf('route', ids, by)),
    saveServices: (services, by) => live.inTurn(() => saveServices(services, by)),
    updateService: (id, next, by) => live.inTurn(() => updateService(id, next, by)),
    removeServices: (ids, by) => live.inTurn(() => removeOf('service', ids, by)),
    apply: (request, by) => proven(routesAhead(request.routes), (proofs) => apply(request, by, proofs)),
    rollback: (revision, by) => proven(rollbackAhead(revision), (proofs) => rollback(revision, by, proofs)),
    refresh: () => live.refresh(),
    close: () => live.close(),
  };
}

async function checkCertificates(
  { certificates: list = [] }: ApplyRequest,
  { certificates }: ApplyOptions,
): Promise<{ readonly ids: readonly string[] } | ApplyRefused> {
  if (list.length === 0) return { ids: [] };
  if (certificates !== undefined) return certificates.check(list);
  const message = 'certificates are given, but nothing here keeps any; expected a server with HTTPS';
  return { faults: [{ kind: 'certificate', index: 0, message }] };
}

/** What this program, as it is now, refuses of what a change leads to. */
function faultsOf(changes: readonly ResourceChange[]): ApplyFault[] {
  const aftersOf = (of: ResourceChange['kind']) =>
    changes.flatMap(({ kind, after }) => (kind === of && after !== null ? [after] : []));
  const reads = [
    ['route', readRoutes(aftersOf('route'))],
    ['service', readDefinitions(aftersOf('service'))],
    ...aftersOf('settings').map((settings) => ['settings', readSettings(settings)] as const),
  ] as const;
  return reads.flatMap(([kind, read]) => ('faults' in read ? read.faults.map((fault) => ({ ...fault, kind })) : []));
}

/** A plan, unless what it leads to can't run. */
async function provenPlan<P extends object, F extends Fault>(
  plan: P | { readonly faults: readonly F[] },
  prove: (changes: readonly ResourceChange[]) => Promise<F[]>,
): Promise<P | { readonly faults: readonly F[] }> {
  if ('faults' in plan) return plan as { readonly faults: readonly F[] };
  const faults = await prove((plan as { changes: readonly ResourceChange[] }).changes);
  return faults.length > 0 ? { faults } : (plan as P);
}

function ofRoutes(faults: readonly Fault[]): ApplyFault[] {
  return faults.map((fault) => ({ ...fault, kind: 'route' }));
}

function sameId(kind: string, id: string, next: string): void {
  if (id !== next) throw new TypeError(`the ${kind} ${id} was changed into ${next}; expected the same id`);
}
