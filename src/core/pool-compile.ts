import { type CheckProver, compileCheck, type PoolKind } from './health-options.ts';
import { compileMembers } from './pool-members.ts';
import { compileRollout } from './pool-rollout.ts';
import { compileSettings, defaultPoolSettings } from './pool-settings.ts';
import type { PoolOptions, PoolSpec, TargetSpec } from './pool-types.ts';
import type { Target } from './types.ts';

export { compileCheck, deployCheck } from './health-options.ts';
export { instanceKey } from './pool-instance.ts';
export { defaultPoolSettings, stickyName } from './pool-settings.ts';

/** Tells of a fault: which option, and one sentence with what it is and what was expected. */
export type Fault = (field: keyof PoolOptions | 'target', message: string) => void;

const ofTheService = ['balance', 'health', 'outlier', 'breaker', 'limits'] as const;
/** The names of all options of a pool, as files spell them. */
export const poolOptionNames = [...ofTheService, 'retry', 'rollout'] as const;

/**
 * Proves what a route or a service says of its pool. Whatever shape the values have, this never throws: it may be what a file, a database or an
 * embedder's program without types gave.
 * @param check as of `compileInstance`
 * @param name `route app.example.com`, `service user-svc`
 * @param kind services are probed by default, and have the members that register where `target` is undefined
 * @param fault is told of each fault; what is returned is of use only if it never was
 * @param targets parsed targets by text, so that equal ones share an object; is added to
 */
export function compilePoolSpecBy(
  check: CheckProver | null,
  name: string,
  kind: PoolKind,
  target: TargetSpec | undefined,
  options: PoolOptions,
  fault: Fault,
  targets: Map<string, Target>,
): PoolSpec {
  const own = kind === 'service' ? name.slice('service '.length) : '';
  const sayTarget = (message: string) => fault('target', message);
  const members =
    target === undefined ? { service: own, targets: Object.freeze([]) } : compileMembers(target, sayTarget, targets);
  if (kind === 'service' && target !== undefined && members.service !== '')
    sayTarget('target is a service; expected an address, or none for the instances that register');
  if (kind === 'route' && members.service !== '') refuseOptions(members.service, options, fault);
  const hasOptions = kind === 'service' || poolOptionNames.some((field) => options[field] !== undefined);
  if (!hasOptions) return Object.freeze({ name, ...members, settings: defaultPoolSettings, canary: null, gate: null });
  const settings = compileSettings(kind, options, fault, check);
  const { gate, canary } = compileRollout(options.rollout, (message) => fault('rollout', message), targets);
  if (kind === 'service' && canary !== null && canary.service !== '')
    fault('rollout', 'rollout.canary.target is a service; expected an address');
  return Object.freeze({ name, ...members, settings, canary, gate });
}

/** As `compilePoolSpecBy`, for those that are probed. */
export function compilePoolSpec(
  name: string,
  kind: PoolKind,
  target: TargetSpec | undefined,
  options: PoolOptions,
  fault: Fault,
  targets = new Map<string, Target>(),
): PoolSpec {
  return compilePoolSpecBy(compileCheck, name, kind, target, options, fault, targets);
}

/** A service's instances are shared by all of its routes, so it alone says how they are watched and picked. */
function refuseOptions(service: string, options: PoolOptions, fault: Fault): void {
  for (const field of ofTheService)
    if (options[field] !== undefined)
      fault(field, `${field} is the service's to say; expected it in the definition of ${service}`);
}
