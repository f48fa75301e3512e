import { compilePoolSpec, instanceKey } from '../core/pool-compile.ts';
import type { Canary, Members, PoolSpec, Rollout, ServiceOptions, TargetSpec } from '../core/pool-types.ts';
import { routesOf } from '../core/table.ts';
import { parseTarget } from '../core/target.ts';
import type { Target } from '../core/types.ts';
import type { Endpoint } from './rollout-drain.ts';
import type { Awaited } from './rollout-probe.ts';
import type { RolloutConfiguration, Subject, Subjects } from './rollout-subject.ts';

type Next = (now: ServiceOptions) => ServiceOptions;

/** One target as it was written, several as a list. */
export function specOf(targets: readonly string[]): TargetSpec {
  return targets.length === 1 ? targets[0] : targets;
}

/** All requests go to `target` from now on; where they went is what a rollback leads to. @param before see `presentTarget` */
export function deployed(
  subject: Subject,
  target: TargetSpec,
  before: (now: ServiceOptions) => TargetSpec | undefined,
): Next {
  return (now) => {
    const old = before(now);
    const previous = old === undefined || sameSpec(old, target) ? now.rollout?.previous : old;
    return withRollout(withTarget(subject, now, target), { ...now.rollout, canary: undefined, previous });
  };
}

/** A service without a target has the instances that register. */
function withTarget(subject: Subject, { target: _, ...rest }: ServiceOptions, target: TargetSpec): ServiceOptions {
  return isOwn(subject, target) ? rest : { ...rest, target };
}

/** Requests may go to `canary` as well; the rest is as it was. */
export function withCanary(canary: Canary | undefined): Next {
  return (now) => withRollout(now, { ...now.rollout, canary });
}

/** Target and previous change places. */
export function returned(subject: Subject, before: (now: ServiceOptions) => TargetSpec | undefined): Next {
  return (now) => {
    const { target: _, ...rest } = now;
    const target = now.rollout?.previous;
    const next = target === undefined ? rest : withTarget(subject, now, target);
    return withRollout(next, { ...now.rollout, canary: undefined, previous: before(now) });
  };
}

/** Requests wait, get the maintenance page, or pass: undefined. */
export function withGate(gate: Rollout['gate']): Next {
  return (now) => withRollout(now, { ...now.rollout, gate });
}

/** Without what is undefined, and without a rollout that says nothing. */
function withRollout(options: ServiceOptions, rollout: Rollout): ServiceOptions {
  const said = Object.entries(rollout).filter(([, value]) => value !== undefined);
  const { rollout: _, ...rest } = options;
  return said.length === 0 ? rest : { ...rest, rollout: Object.fromEntries(said) };
}

/**
 * Where the requests go now. A service's registered instances are written `service://` with its own slug: there is no other word for them.
 * @returns undefined: nowhere yet
 */
export function presentTarget(subject: Subject, subjects: Subjects): (now: ServiceOptions) => TargetSpec | undefined {
  return ({ target }) => {
    if (target !== undefined || subject.kind === 'route') return target;
    return subjects.registered(subject.name).length > 0 ? `service://${subject.name}` : undefined;
  };
}

/** Whether this means the registered instances of the service itself. */
export function isOwn({ kind, name }: Subject, target: TargetSpec): boolean {
  return kind === 'service' && target === `service://${name}`;
}

/** Whether two targets are the same in other words: `127.0.0.1:80` is `http://127.0.0.1`. */
export function sameSpec(a: TargetSpec, b: TargetSpec): boolean {
  return normalForm(a) === normalForm(b);
}

function normalForm(spec: TargetSpec): string {
  const { service, targets } = compilePoolSpec('route x', 'route', spec, {}, () => {});
  if (service !== '') return `service://${service}`;
  return targets
    .map(({ target, weight, priority }) => `${target.href} ${weight} ${priority}`)
    .sort()
    .join('\n');
}

/** A target as text, for people. */
export function specText(spec: TargetSpec): string {
  if (typeof spec === 'string') return spec;
  // A later oo may have stored what this one does not know.
  if (!Array.isArray(spec)) return JSON.stringify(spec);
  return spec.map((one) => (typeof one === 'string' ? one : (one?.url ?? JSON.stringify(one)))).join(', ');
}

/** What a pool says of its members, and how they are reached. */
interface Reached {
  readonly members: Members;
  readonly skipVerify: boolean;
  readonly spec: PoolSpec;
}

/** The addresses behind targets, also of a service. */
export class Endpoints {
  readonly #subjects: Subjects;
  readonly #configuration: RolloutConfiguration;

  constructor(subjects: Subjects, configuration: RolloutConfiguration) {
    this.#subjects = subjects;
    this.#configuration = configuration;
  }

  /** Whom a deploy to this target has to wait for. Empty for a service that has no instance, or that is not there. */
  awaited(subject: Subject, options: ServiceOptions, target: TargetSpec): Awaited[] {
    return this.#parts(subject, options, [target]).map(({ target, skipVerify }) => ({
      target,
      insecureSkipVerify: skipVerify,
    }));
  }

  /** All that get requests now, canaries as well; by key. */
  of(subject: Subject, options: ServiceOptions | undefined, target: TargetSpec | undefined): Map<string, Endpoint> {
    const canary = options?.rollout?.canary?.target;
    const specs = [target, canary].filter((spec) => spec !== undefined);
    return new Map(
      this.#parts(subject, options ?? {}, specs).map(({ key, target }) => [key, { key, href: target.href }]),
    );
  }

  /** Which of these keys other routes and services have, too. */
  elsewhere(keys: ReadonlySet<string>, subject: Subject): Set<string> {
    const found = new Set<string>();
    const look = (reached: Reached) => {
      for (const { key } of this.#expand(reached)) if (keys.has(key)) found.add(key);
    };
    for (const { id, pool: spec, route } of routesOf(this.#configuration.table)) {
      if (subject.kind === 'route' && id === subject.name) continue;
      const skipVerify = route.insecureSkipVerify === true;
      // Those of a service are looked at once, with it.
      for (const members of [spec, spec.canary])
        if (members !== null && members.service === '') look({ members, skipVerify, spec });
    }
    for (const slug of this.#subjects.slugs()) {
      if (subject.kind === 'service' && slug === subject.name) continue;
      const { options, spec } = this.#subjects.service(slug)!;
      const skipVerify = options.insecureSkipVerify === true;
      for (const members of [spec, spec.canary]) if (members !== null) look({ members, skipVerify, spec });
    }
    return found;
  }

  #parts(subject: Subject, options: ServiceOptions, targets: readonly TargetSpec[]) {
    const skipVerify = options.insecureSkipVerify === true;
    return targets.flatMap((target) => {
      const own = isOwn(subject, target) ? undefined : target;
      const spec = compilePoolSpec(subject.pool, subject.kind, own, options, () => {});
      return [...this.#expand({ members: spec, skipVerify, spec })];
    });
  }

  *#expand({ members, skipVerify, spec }: Reached): Iterable<{ key: string; target: Target; skipVerify: boolean }> {
    const { service } = members;
    const { instance } = spec.settings;
    if (service === '') {
      for (const { target } of members.targets)
        yield { key: instanceKey(target, skipVerify, instance), target, skipVerify };
    } else if (spec.name === `service ${service}`) {
      for (const url of this.#subjects.registered(service)) {
        const target = parseTarget(url);
        if (typeof target !== 'string') yield { key: instanceKey(target, skipVerify, instance), target, skipVerify };
      }
    } else {
      const found = this.#subjects.service(service);
      if (found === undefined) return;
      yield* this.#expand({
        members: found.spec,
        skipVerify: found.options.insecureSkipVerify === true,
        spec: found.spec,
      });
    }
  }
}
