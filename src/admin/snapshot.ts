import { compile, draft } from '../core/routes.ts';
import { getRoute, type RouteTable, routesOf } from '../core/table.ts';
import type { Route } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import { isSame, sameRoute } from './keep-rollout.ts';
import { type Present, planSettings } from './plan.ts';
import type { ConfigurationState, ResourceChange, StoredSettings } from './resources.ts';

/** The configuration of one revision in memory. Never changes; the next one shares what stays. */
export class Snapshot implements Present {
  readonly table: RouteTable;
  readonly settings: StoredSettings;
  readonly #services: ReadonlyMap<string, Definition>;
  /** Stored routes that this program refuses: they can be removed, or saved anew. */
  readonly #leftOut: ReadonlyMap<string, Route>;
  #routeList: readonly Route[] | undefined;
  #serviceList: readonly Definition[] | undefined;

  constructor(
    table: RouteTable,
    services: ReadonlyMap<string, Definition>,
    settings: StoredSettings,
    leftOut: ReadonlyMap<string, Route>,
  ) {
    this.table = table;
    this.settings = settings;
    this.#services = services;
    this.#leftOut = leftOut;
  }

  /** @param onLeftOut told of each route that is left out, and why */
  static of(state: ConfigurationState, onLeftOut: (error: Error) => void): Snapshot {
    const { revision, routes, settings } = state;
    const services = new Map(state.services.map((service) => [service.id, service]));
    const compiled = compile(routes, revision);
    if ('table' in compiled) return new Snapshot(compiled.table, services, settings, new Map());
    const bad = new Set(compiled.faults.map((fault) => fault.index));
    const leftOut = new Map([...bad].map((index) => [routes[index].id, routes[index]]));
    for (const { id, message } of compiled.faults)
      onLeftOut(new Error(`The stored route ${id} is left out: ${message}`));
    const rest = compile(
      routes.filter((_, index) => !bad.has(index)),
      revision,
    );
    if ('table' in rest) return new Snapshot(rest.table, services, settings, leftOut);
    throw new Error('The stored routes cannot be compiled.');
  }

  /** The next one. Routes and definitions are proven. */
  next(revision: number, changes: readonly ResourceChange[]): Snapshot {
    const routes = draft(this.table);
    let services: Map<string, Definition> | undefined;
    let leftOut: Map<string, Route> | undefined;
    let { settings } = this;
    for (const { kind, id, after } of changes) {
      if (kind === 'settings') settings = (after ?? {}) as StoredSettings;
      else if (kind === 'service') {
        services ??= new Map(this.#services);
        if (after === null) services.delete(id);
        else services.set(id, after as Definition);
      } else {
        if (after === null) routes.remove(id);
        else routes.save(after as Route);
        if (!this.#leftOut.has(id)) continue;
        leftOut ??= new Map(this.#leftOut);
        leftOut.delete(id);
      }
    }
    return new Snapshot(routes.finish(revision), services ?? this.#services, settings, leftOut ?? this.#leftOut);
  }

  /** What leads from here to another. */
  changesTo(to: Snapshot): ResourceChange[] {
    const changes: ResourceChange[] = [];
    for (const { id, route } of routesOf(to.table)) {
      const before = getRoute(this.table, id)?.route;
      if (!sameRoute(route, before)) changes.push({ kind: 'route', id, before: before ?? null, after: route });
    }
    for (const { id, route } of routesOf(this.table))
      if (!getRoute(to.table, id)) changes.push({ kind: 'route', id, before: route, after: null });
    for (const after of to.services()) {
      const before = this.service(after.id) ?? null;
      if (!isSame(before, after)) changes.push({ kind: 'service', id: after.id, before, after });
    }
    for (const before of this.services())
      if (to.service(before.id) === undefined) changes.push({ kind: 'service', id: before.id, before, after: null });
    return [...changes, ...planSettings(to.settings, this)];
  }

  route(id: string): Route | undefined {
    return getRoute(this.table, id)?.route;
  }

  leftOut(id: string): Route | undefined {
    return this.#leftOut.get(id);
  }

  service(id: string): Definition | undefined {
    return this.#services.get(id);
  }

  get serviceCount(): number {
    return this.#services.size;
  }

  *routes(): Iterable<Route> {
    for (const { route } of routesOf(this.table)) yield route;
    yield* this.#leftOut.values();
  }

  services(): readonly Definition[] {
    this.#serviceList ??= [...this.#services.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#serviceList;
  }

  /** Those of the table, by id. */
  get routeList(): readonly Route[] {
    this.#routeList ??= [...routesOf(this.table)].map(({ route }) => route).sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#routeList;
  }
}
