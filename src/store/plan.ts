import { keptRoute, type Present, planRemoval, planRoutes } from '../admin/plan.ts';
import type { ConfigurationState } from '../admin/resources.ts';
import { readRoutes } from '../admin/schema.ts';
import type { Commit } from '../admin/store.ts';
import type { Route } from '../core/types.ts';
import { proveNames } from './fault.ts';
import type { RemovedRoutes, SavedRoutes, SaveOptions } from './types.ts';

/** A change of routes as it is to be stored, and what its caller is told. */
export interface RoutePlan<R> {
  readonly save: readonly Route[];
  readonly remove: readonly string[];
  readonly told: Omit<R, 'revision'>;
}

/** Proves routes as `oo route save` does. @throws TypeError; `cause` has the faults */
export function proven(list: readonly Route[]): readonly Route[] {
  if (!Array.isArray(list)) throw new TypeError('routes are no list; expected such as [{ id, target }]');
  const read = readRoutes(list);
  // As it will be read: nothing of it is shared with the caller, and `undefined` is left out.
  if ('routes' in read) return JSON.parse(JSON.stringify(read.routes));
  throw new TypeError(read.faults.map(({ message }) => message).join('; '), { cause: read.faults });
}

/** What saving these routes, proven, changes. */
export function planSave(routes: readonly Route[], state: ConfigurationState): RoutePlan<SavedRoutes> {
  const present = presentOf(state);
  const kept = routes.map((route) => keptRoute(route, present.route(route.id)));
  const { changes, created, updated, unchanged } = planRoutes(kept, present);
  return { save: changes.map(({ after }) => after as Route), remove: [], told: { created, updated, unchanged } };
}

/** What removing these changes. */
export function planRemove(ids: readonly string[], state: ConfigurationState): RoutePlan<RemovedRoutes> {
  const { removed, missing } = planRemoval('route', ids, presentOf(state));
  return { save: [], remove: removed, told: { removed, missing } };
}

/** A plan as what the store commits. */
export function commitOf(
  { save, remove }: Pick<RoutePlan<unknown>, 'save' | 'remove'>,
  { revision, settings: { historyRevisions } }: ConfigurationState,
  { actor = 'app', reason }: SaveOptions,
): Commit {
  return {
    ...{ base: revision, save, remove, actor, from: '', reason },
    ...(historyRevisions !== undefined && { historyRevisions }),
  };
}

/** @throws TypeError */
export function proveSaveOptions(what: string, options: SaveOptions): void {
  proveNames(what, options, ['reason', 'actor', 'revision']);
  const { reason, actor, revision } = options;
  for (const [name, value] of Object.entries({ reason, actor }))
    if (value !== undefined && (typeof value !== 'string' || value.length > 1_000))
      throw new TypeError(`${name} is no text of at most 1,000 characters`);
  if (revision !== undefined && !(Number.isSafeInteger(revision) && revision >= 0))
    throw new TypeError(`revision is '${revision}'; expected a whole number, as revision() gives it`);
}

function presentOf({ routes, services, settings }: ConfigurationState): Present {
  const byId = new Map(routes.map((route) => [route.id, route]));
  return {
    route: (id) => byId.get(id),
    // By the id as it is stored, for a route whose id this program refuses.
    leftOut: (id) => byId.get(id),
    service: () => undefined,
    routes: () => routes,
    services: () => services,
    serviceCount: services.length,
    settings,
  };
}
