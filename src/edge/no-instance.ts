import type { EdgePool } from './pool.ts';

/**
 * Why a pool had nobody for a request, in one line that names no address. It is said to whoever asks on the service port, and on the edge
 * to the log only: there a service's name is nobody's business.
 * @param pool of the request's route
 */
export function whyNoInstance(pool: EdgePool): string {
  const { picking, spec } = pool;
  if (picking === undefined) return `No service '${spec.service}' is registered.`;
  const who = picking.isService ? picking.name.slice('service '.length) : 'this route';
  const members = picking.main?.members ?? [];
  if (members.length === 0) return `No instance of ${who} is registered.`;
  const instances = members.map(({ instance }) => instance.instance);
  const now = performance.now();
  const counts = [
    [members.length, 'registered'],
    [instances.filter(({ down }) => down).length, 'unreachable'],
    [instances.filter(({ down, load }) => !down && !load.healthy).length, 'ejected for their failures'],
    [instances.filter(({ breaker }) => breaker?.stateAt(now) === 'open').length, 'spared by their breaker'],
    [members.filter(({ weight }) => weight === 0).length, 'drained'],
  ] as const;
  const text = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return `No instance of ${who} is healthy: ${text.join(', ')}.`;
}
