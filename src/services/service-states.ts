import { compilePoolSpec } from '../core/pool-compile.ts';
import type { PoolSpec, ServiceMember, ServiceOptions, ServiceState } from '../core/pool-types.ts';
import { serviceFaults } from '../core/service.ts';
import type { Definition, PoolChanges, ServicePool } from './types.ts';

export interface ServiceStatesOptions {
  readonly definition: (slug: string) => Definition | undefined;
  /** What a definition says of its service's pool. @returns a text for one that is refused: why */
  readonly optionsOf: (definition: Definition) => ServiceOptions | string;
  /** Takes services to the workers; resolves when all have them. */
  readonly publish: (change: { services: readonly ServiceState[]; gone: readonly string[] }) => Promise<void>;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** A service's options, proven and compiled. */
export interface ServiceSettings {
  readonly options: ServiceOptions;
  /** Without its registered instances. */
  readonly spec: PoolSpec;
}

interface Kept extends ServiceSettings {
  readonly definition: Definition | undefined;
}

const noOptions: ServiceOptions = Object.freeze({});

/** Services as workers know them: what their definitions say, with the instances that are registered. */
export class ServiceStates {
  readonly #options: ServiceStatesOptions;
  readonly #kept = new Map<string, Kept>();
  /** What workers have. */
  readonly #sent = new Map<string, ServiceState>();

  constructor(options: ServiceStatesOptions) {
    this.#options = options;
  }

  settings(slug: string): ServiceSettings {
    const definition = this.#options.definition(slug);
    const known = this.#kept.get(slug);
    if (known !== undefined && known.definition === definition) return known;
    const options = definition === undefined ? noOptions : this.#prove(slug, definition);
    const spec = compilePoolSpec(`service ${slug}`, 'service', options.target, options, () => {});
    const kept = { definition, options, spec };
    this.#kept.set(slug, kept);
    return kept;
  }

  /** Tells workers of what is news to them. Rejects as `publish` does; then it is still news. */
  async publish({ pools, gone }: PoolChanges): Promise<void> {
    const services = pools
      .map((pool) => this.#stateOf(pool))
      .filter((state) => !isSame(state, this.#sent.get(state.slug)));
    for (const slug of gone) this.#kept.delete(slug);
    const known = gone.filter((slug) => this.#sent.has(slug));
    if (services.length + known.length === 0) return;
    await this.#options.publish({ services, gone: known });
    for (const state of services) this.#sent.set(state.slug, state);
    for (const slug of known) this.#sent.delete(slug);
  }

  #stateOf({ slug, members }: ServicePool): ServiceState {
    const { options } = this.settings(slug);
    return { slug, options, members: members.map(({ url, weight, priority }) => ({ url, weight, priority })) };
  }

  #prove(slug: string, definition: Definition): ServiceOptions {
    const options = this.#options.optionsOf(definition);
    const faults = typeof options === 'string' ? [options] : serviceFaults(slug, options).map(({ message }) => message);
    if (typeof options !== 'string' && faults.length === 0) return options;
    this.#options.log(`registry: the definition of ${slug} is not used, the defaults are: ${faults.join('; ')}`);
    return noOptions;
  }
}

function isSame(a: ServiceState, b: ServiceState | undefined): boolean {
  return (
    b !== undefined &&
    a.options === b.options &&
    a.members.length === b.members.length &&
    a.members.every((member, at) => isSameMember(member, b.members[at]))
  );
}

function isSameMember(a: ServiceMember, b: ServiceMember): boolean {
  return a.url === b.url && a.weight === b.weight && a.priority === b.priority;
}
