import { formatRouteId, parseRouteId } from '../core/host.ts';
import { nearest } from '../core/nearest.ts';
import { compilePoolSpec } from '../core/pool-compile.ts';
import type { PoolSpec, ServiceOptions } from '../core/pool-types.ts';
import { compileRoute } from '../core/routes.ts';
import { serviceFaults } from '../core/service.ts';
import { routesOf } from '../core/table.ts';
import type { Route } from '../core/types.ts';
import type { Registry } from '../services/registry-types.ts';
import type { Definition } from '../services/types.ts';
import type { Configuration, Conflict, Refused } from './configuration.ts';
import { type RolloutKind, RolloutRefusal } from './rollout-types.ts';
import type { By } from './store.ts';
import { isSlug } from './tokens.ts';

/** What deploys need of the configuration. */
export type RolloutConfiguration = Pick<
  Configuration,
  'table' | 'get' | 'save' | 'update' | 'service' | 'services' | 'updateService' | 'refresh'
>;
/** What they need of the registry. */
export type RolloutRegistry = Pick<Registry, 'pool' | 'pools'>;

/** A route or a service, as a deploy changes it. */
export interface Subject {
  readonly kind: RolloutKind;
  /** A route's id in normal form, or a slug. */
  readonly name: string;
  /** `route app.example.com`, `service web`. */
  readonly pool: string;
  /** What it says of itself now; undefined: there is none. */
  current(): ServiceOptions | undefined;
  /** @returns why it can't be this; undefined if it can */
  fault(next: ServiceOptions): string | undefined;
  /**
   * Stores the next state, made of the present one, and resolves when all workers go by it.
   * @param plan gets {} where there is none yet; what it throws is thrown
   * @throws RolloutRefusal, StoreFailure
   */
  change(plan: (now: ServiceOptions) => ServiceOptions, by: By): Promise<void>;
}

/** Finds out what a name means. */
export class Subjects {
  readonly #configuration: RolloutConfiguration;
  readonly #registry: RolloutRegistry;

  constructor(configuration: RolloutConfiguration, registry: RolloutRegistry) {
    this.#configuration = configuration;
    this.#registry = registry;
  }

  /** Takes over what another server has just made, so that a deploy begins with what is. */
  refresh(): Promise<void> {
    return this.#configuration.refresh();
  }

  /**
   * A name with a dot, `*`, `/` or `:`, and the id of a route that is there, is a route; any other is a service's slug.
   * @throws RolloutRefusal for what is neither
   */
  of(name: string): Subject {
    const id = parseRouteId(name);
    const normal = typeof id === 'string' ? undefined : formatRouteId(id);
    if (/[.*/:]/.test(name) || (normal !== undefined && this.#configuration.get(normal) !== undefined)) {
      if (normal !== undefined) return this.#route(normal);
      const hint = 'A route is a host, or a host and a path, such as app.example.com/api; a service has no dot.';
      throw new RolloutRefusal(400, 'OO_BAD_NAME', `'${shown(name)}' ${id}.`, hint);
    }
    if (isSlug(name)) return this.#service(name);
    const hint = 'A service has lower case letters, digits and inner hyphens, such as user-svc; a route has a dot.';
    throw new RolloutRefusal(
      400,
      'OO_BAD_NAME',
      `'${shown(name)}' is neither a service's name nor a route's id.`,
      hint,
    );
  }

  /** One that is there. @throws RolloutRefusal that says which may have been meant */
  existing(name: string): Subject {
    const subject = this.of(name);
    if (subject.current() !== undefined) return subject;
    const meant = nearest(subject.name, this.#names());
    const hint = meant ? `Did you mean ${meant}?` : 'oo status shows the routes and services that are.';
    throw new RolloutRefusal(404, 'OO_UNKNOWN_NAME', `There is no ${subject.kind} ${subject.name}.`, hint);
  }

  /** What a service's pool is made of; undefined: there is no such service. */
  service(slug: string): { readonly options: ServiceOptions; readonly spec: PoolSpec } | undefined {
    const options = this.#options(slug);
    if (options === undefined) return undefined;
    return { options, spec: compilePoolSpec(`service ${slug}`, 'service', options.target, options, () => {}) };
  }

  /** The registered instances of a service, as targets. */
  registered(slug: string): readonly string[] {
    return this.#registry.pool(slug)?.members.map(({ url }) => url) ?? [];
  }

  /** Slugs of all services that are known. */
  slugs(): Set<string> {
    const { definitions, pools } = { definitions: this.#configuration.services(), pools: this.#registry.pools() };
    return new Set([...definitions.map(({ id }) => id), ...pools.map(({ slug }) => slug)]);
  }

  *#names(): Iterable<string> {
    for (const { id } of routesOf(this.#configuration.table)) yield id;
    yield* this.slugs();
  }

  #options(slug: string): ServiceOptions | undefined {
    const definition = this.#configuration.service(slug);
    if (definition !== undefined) return optionsOf(definition);
    return this.#registry.pool(slug) === undefined ? undefined : {};
  }

  #route(id: string): Subject {
    const configuration = this.#configuration;
    return {
      kind: 'route',
      name: id,
      pool: `route ${id}`,
      current: () => configuration.get(id),
      fault(next) {
        const compiled = compileRoute({ ...next, id } as Route);
        return Array.isArray(compiled) ? compiled.map(({ message }) => message).join('; ') : undefined;
      },
      async change(plan, by) {
        const next = (route: ServiceOptions) => ({ ...plan(route), id }) as Route;
        const result = (await configuration.update(id, next, by)) ?? (await configuration.save([next({})], by));
        refuseUnsaved(result);
      },
    };
  }

  #service(slug: string): Subject {
    const configuration = this.#configuration;
    return {
      kind: 'service',
      name: slug,
      pool: `service ${slug}`,
      current: () => this.#options(slug),
      fault: (next) => serviceFaults(slug, next).map(({ message }) => message)[0],
      async change(plan, by) {
        const next = (definition: Definition | undefined): Definition => ({
          ...plan(definition === undefined ? {} : optionsOf(definition)),
          id: slug,
        });
        refuseUnsaved(await configuration.updateService(slug, next, by), 'OO_BAD_DEFINITION');
      },
    };
  }
}

function optionsOf({ id: _, ...options }: Definition): ServiceOptions {
  const { rollout, ...rest } = options as ServiceOptions;
  return Object.keys(rollout ?? {}).length === 0 ? rest : { ...rest, rollout };
}

/** @throws RolloutRefusal for what was not stored */
export function refuseUnsaved(result: object | Refused | Conflict, code = 'OO_BAD_ROUTES'): void {
  if ('faults' in result) {
    const [first] = (result as Refused).faults;
    throw new RolloutRefusal(400, code, `${first.message}.`, 'Nothing was changed.');
  }
  if ('conflict' in result)
    throw new RolloutRefusal(409, 'OO_CONFLICT', 'Other changes came first, again and again.', 'Try again.');
}

/** `cli:ann: why`, for the log. */
export function byText({ actor, reason }: By): string {
  return reason === undefined ? actor : `${actor}: ${shown(reason)}`;
}

function shown(text: string): string {
  return text.slice(0, 100).replace(/\p{C}/gu, '?');
}
