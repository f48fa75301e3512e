import { isOwner } from '../core/compile.ts';
import { compileRoute } from '../core/routes.ts';
import type { Route } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import { definitionLimits, readDefinitions } from './definitions.ts';
import { isSame, keepOwner, keepRollout, ownerOf, sameRoute } from './keep-rollout.ts';
import type { ApplyFault, ApplyRequest, ResourceChange, ResourceKind, StoredSettings } from './resources.ts';
import { type Fault, normalId, readRoutes } from './schema.ts';
import { readSettings } from './settings.ts';

/** What is there now, as plans need it. */
export interface Present {
  route(id: string): Route | undefined;
  /** A stored route that is refused, by its stored id. */
  leftOut(id: string): Route | undefined;
  service(id: string): Definition | undefined;
  /** All of them, those routes that are left out of the table among them. */
  routes(): Iterable<Route>;
  services(): Iterable<Definition>;
  readonly serviceCount: number;
  readonly settings: StoredSettings;
}

/** What a save changes. Ids in normal form. */
export interface SavePlan<T> {
  /** As they will be. */
  readonly things: readonly T[];
  readonly changes: readonly ResourceChange[];
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly unchanged: readonly string[];
}

/** An `ApplyRequest` whose things are proven. */
export interface Wanted extends Pick<ApplyRequest, 'owner' | 'prune'> {
  readonly routes: readonly Route[];
  readonly services: readonly Definition[];
  readonly settings: StoredSettings | undefined;
}

/** What saving these routes, proven, changes. */
export function planRoutes(routes: readonly Route[], present: Present): SavePlan<Route> {
  return planSave('route', routes, (id) => present.route(id), sameRoute);
}

/** Likewise of definitions; a fault where there are too many. */
export function planServices(
  services: readonly Definition[],
  present: Present,
): SavePlan<Definition> | { faults: Fault[] } {
  const plan = planSave('service', services, (id) => present.service(id), isSame);
  const count = present.serviceCount + plan.created.length;
  return plan.created.length > 0 && count > definitionLimits.count ? { faults: [tooMany()] } : plan;
}

function planSave<T extends Route | Definition>(
  kind: ResourceKind,
  things: readonly T[],
  find: (id: string) => T | undefined,
  same: (thing: T, before: T | undefined) => boolean,
): SavePlan<T> {
  const changes: ResourceChange[] = [];
  const [created, updated, unchanged]: string[][] = [[], [], []];
  for (const after of things) {
    const { id } = after;
    const before = find(id);
    if (before !== undefined && same(after, before)) {
      unchanged.push(id);
      continue;
    }
    (before === undefined ? created : updated).push(id);
    changes.push({ kind, id, before: before ?? null, after });
  }
  return { things, changes, created, updated, unchanged };
}

/** What removing these changes. */
export function planRemoval(kind: 'route' | 'service', ids: readonly string[], present: Present) {
  const found = new Map<string, ResourceChange>();
  const missing: string[] = [];
  for (const given of ids) {
    const normal = kind === 'route' ? normalId(given) : undefined;
    const route = normal === undefined ? undefined : present.route(normal);
    const before = kind === 'service' ? present.service(given) : (route ?? present.leftOut(given));
    if (before === undefined) missing.push(given);
    else found.set(before.id, { kind, id: before.id, before, after: null });
  }
  return { changes: [...found.values()], removed: [...found.keys()], missing };
}

/** The change of the settings, if it is one. {} is as good as none. */
export function planSettings(settings: StoredSettings | undefined, present: Present): ResourceChange[] {
  if (settings === undefined || isSame(settings, present.settings)) return [];
  const orNone = (value: StoredSettings) => (Object.keys(value).length === 0 ? null : value);
  return [{ kind: 'settings', id: 'server', before: orNone(present.settings), after: orNone(settings) }];
}

/** Proves a request, its certificates apart. */
export function readApply(request: ApplyRequest): Wanted | { faults: ApplyFault[] } {
  const { owner, prune } = request;
  const faults: ApplyFault[] = [];
  if (owner !== undefined && !isOwner(owner)) {
    const message = 'owner is no label; expected one of letters, digits and ._-, up to 63, such as shop-team';
    faults.push({ kind: 'request', field: 'owner', message });
  }
  if (prune === true && owner === undefined) {
    const message = 'prune is set and owner is missing; expected the label of whose things it may remove';
    faults.push({ kind: 'request', field: 'prune', message });
  }
  const routes = readRoutes(request.routes ?? []);
  const services = readDefinitions(request.services ?? []);
  const settings = request.settings === undefined ? { settings: undefined } : readSettings(request.settings);
  for (const [kind, read] of [
    ['route', routes] as const,
    ['service', services] as const,
    ['settings', settings] as const,
  ])
    if ('faults' in read) faults.push(...read.faults.map((fault) => ({ ...fault, kind })));
  if (faults.length > 0 || 'faults' in routes || 'faults' in services || 'faults' in settings) return { faults };
  return { owner, prune, routes: routes.routes, services: services.definitions, settings: settings.settings };
}

/** What a request changes, or which of its things belong to somebody else. */
export function planApply(
  wanted: Wanted,
  present: Present,
): { changes: ResourceChange[]; unchanged: number } | { faults: ApplyFault[] } {
  const { owner, prune } = wanted;
  const faults: ApplyFault[] = [
    ...strangers('route', wanted.routes, owner, (id) => present.route(id)),
    ...strangers('service', wanted.services, owner, (id) => present.service(id)),
  ];
  const labelled = <T extends object>(thing: T): T =>
    owner === undefined || ownerOf(thing) !== undefined ? thing : { ...thing, owner };
  const routes = planRoutes(
    wanted.routes.map((route) => keptRoute(labelled(route), present.route(route.id))),
    present,
  );
  const services = planSave(
    'service',
    wanted.services.map((service) => keptService(labelled(service), present.service(service.id))),
    (id) => present.service(id),
    isSame,
  );
  const settings = planSettings(wanted.settings, present);
  const gone = prune === true ? pruned(wanted, present) : [];
  const fewer = gone.filter(({ kind }) => kind === 'service').length;
  if (services.created.length > 0 && present.serviceCount + services.created.length - fewer > definitionLimits.count)
    faults.push({ ...tooMany(), kind: 'service' });
  if (faults.length > 0) return { faults };
  const same = wanted.settings !== undefined && settings.length === 0 ? 1 : 0;
  return {
    changes: [...routes.changes, ...services.changes, ...settings, ...gone],
    unchanged: routes.unchanged.length + services.unchanged.length + same,
  };
}

/** A route with what the present one has and it does not say. */
export function keptRoute(saved: Route, present: Route | undefined): Route {
  const route = keepRollout(saved, present);
  // What was kept was proven with the rest of another route: one that answers by itself now has nothing to pause.
  const fits = route.rollout === undefined || route.rollout === saved.rollout || !Array.isArray(compileRoute(route));
  return keepOwner(fits ? route : saved, present);
}

/** Likewise a definition. */
export function keptService(saved: Definition, present: Definition | undefined): Definition {
  return keepOwner(keepRollout(saved, present), present);
}

/** Things of another owner than both the request and the thing itself say. Who says none takes nothing away from anybody. */
function* strangers<T extends Route | Definition>(
  kind: 'route' | 'service',
  things: readonly T[],
  owner: string | undefined,
  find: (id: string) => T | undefined,
): Generator<ApplyFault> {
  for (const [index, thing] of things.entries()) {
    const before = ownerOf(find(thing.id));
    const own = ownerOf(thing);
    if (before === undefined || before === owner || before === own || (owner === undefined && own === undefined))
      continue;
    const message = `the ${kind} ${thing.id} belongs to ${before}, not to ${own ?? owner}; expected one that nobody else keeps`;
    yield { kind, index, id: thing.id, field: 'owner', message };
  }
}

/** What the same owner has and the request has not. */
function pruned({ owner, routes, services }: Wanted, present: Present): ResourceChange[] {
  const goneOf = (kind: 'route' | 'service', all: Iterable<Route | Definition>, wanted: readonly { id: string }[]) => {
    const ids = new Set(wanted.map(({ id }) => id));
    return [...all]
      .filter((thing) => ownerOf(thing) === owner && !ids.has(thing.id))
      .map((before): ResourceChange => ({ kind, id: before.id, before, after: null }));
  };
  return [...goneOf('route', present.routes(), routes), ...goneOf('service', present.services(), services)];
}

function tooMany(): Fault {
  const { count } = definitionLimits;
  return { message: `there would be more than ${count} definitions; remove those that nobody needs first` };
}
