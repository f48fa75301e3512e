import { type Entry, viewOf } from './shelf.ts';
import type { Instance, Refusal, RegistryWrite } from './types.ts';

export function rowKey(id: string): string {
  return `instance ${id}`;
}

export function putOf(entry: Entry): RegistryWrite {
  const value = viewOf(entry);
  return { do: 'put', row: { kind: 'instance', id: value.id, value } };
}

export function beatOf({ instance, lastHeartbeat, status, details, statusSince }: Entry): RegistryWrite {
  return { do: 'beat', id: instance.id, lastHeartbeat, status, details, statusSince };
}

/** Whether nothing but its heartbeat is new. Where it registers is no change: behind a load balancer that is another server each time. */
export function isSame(a: Instance, b: Instance): boolean {
  return (
    a.id === b.id &&
    a.slug === b.slug &&
    a.url === b.url &&
    a.ip === b.ip &&
    a.deploymentId === b.deploymentId &&
    a.ttlMs === b.ttlMs &&
    a.weight === b.weight &&
    a.priority === b.priority &&
    a.tags.length === b.tags.length &&
    a.tags.every((tag, i) => tag === b.tags[i])
  );
}

export function taken(id: string): Refusal {
  const fault = `${id} is an instance of another service`;
  return { code: 'taken', field: 'id', fault, hint: 'Leave the id out: one is made of the service and the url.' };
}

export function full(fault: string, hint: string): Refusal {
  return { code: 'full', field: '', fault, hint };
}
