import type { StoredHealth } from '../core/health.ts';
import type { InstanceSettings, PoolSpec } from '../core/pool-types.ts';
import { parseTarget } from '../core/target.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import type { ServicePool } from './types.ts';

/** What a route or a service wants probed: a target, whose name may have several addresses. */
export interface HealthMember {
  readonly target: Target;
  readonly insecureSkipVerify: boolean;
  /** With the check; null there: it is not probed. */
  readonly settings: InstanceSettings;
  /** Of a registered instance; '' for a target. */
  readonly id: string;
  /** What the registry knew of it last. */
  readonly known?: StoredHealth;
}

/** The targets of a route that has a check; those of the canary are probed the same way. */
export function routeMembers({ pool, route }: CompiledRoute): readonly HealthMember[] {
  return pool.settings.instance.check === null ? [] : fixedMembers(pool, route.insecureSkipVerify === true);
}

/**
 * The instances of a service, each with its id also where it is not probed.
 * @param spec what its definition says, compiled
 */
export function serviceMembers({ members }: ServicePool, spec: PoolSpec, insecureSkipVerify: boolean): HealthMember[] {
  const { instance } = spec.settings;
  // A definition with targets of its own leaves the registered ones out.
  const settings = spec.service === '' ? { ...instance, check: null } : instance;
  const registered = members.flatMap(({ id, url, status: state, statusSince: since, details: reason }) => {
    const target = parseTarget(url);
    // The registry keeps urls in normal form only.
    if (typeof target === 'string') return [];
    return [{ target, insecureSkipVerify, settings, id, known: { state, since, reason } }];
  });
  return [...registered, ...fixedMembers(spec, insecureSkipVerify)];
}

function fixedMembers({ settings, targets, canary }: PoolSpec, insecureSkipVerify: boolean): HealthMember[] {
  return [...targets, ...(canary?.targets ?? [])].map(({ target }) => ({
    ...{ target, insecureSkipVerify, settings: settings.instance, id: '' },
  }));
}
