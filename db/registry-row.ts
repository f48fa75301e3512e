import type { InstanceView, Node, RegistryRow } from '../src/services/types.ts';
import { parsed } from './damaged.ts';

/** A row as it is stored, in the order of its columns: see schema.ts. */
export type StoredRow = readonly [
  kind: string,
  id: string,
  value: string,
  lastHeartbeat: number | null,
  status: string | null,
  details: string | null,
  statusSince: number | null,
];

/** @returns what goes into the columns */
export function storedOf(row: RegistryRow): StoredRow {
  const { kind, id } = row;
  if (row.kind !== 'instance') {
    const { id: _, ...value } = row.value;
    return [kind, id, JSON.stringify(value), null, null, null, null];
  }
  const { id: _, lastHeartbeat, status, details, statusSince, ...value } = row.value;
  return [kind, id, JSON.stringify(value), lastHeartbeat, status, details, statusSince];
}

/** @returns undefined for one that makes no sense: it must not keep a server from starting, nor its timers from working */
export function rowOf([kind, id, json, lastHeartbeat, status, details, statusSince]: StoredRow):
  | RegistryRow
  | undefined {
  const rest = parsed(json);
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest)) return undefined;
  if (kind === 'node') return isNode(rest) ? { kind, id, value: { ...rest, id } as Node } : undefined;
  const value = { ...rest, id, lastHeartbeat, status, details, statusSince };
  return kind === 'instance' && isInstance(value) ? { kind, id, value } : undefined;
}

const texts = ['slug', 'url', 'scheme', 'host', 'ip', 'path', 'deploymentId', 'nodeUrl', 'details'] as const;
/** What each number can be: a weight of -1 or a time past all calendars would fail far from here. */
const numbers: Readonly<Record<string, readonly [least: number, most: number]>> = {
  ...{ port: [1, 65_535], ttlMs: [1, 1e12], weight: [Number.MIN_VALUE, 1e6], priority: [0, 1e6] },
  ...{ createdAt: [0, 8.64e15], lastHeartbeat: [0, 8.64e15], statusSince: [0, 8.64e15] },
};
const states = new Set<unknown>(['Healthy', 'Degraded', 'Unreachable', 'Unknown']);

function isInstance(value: Partial<Record<keyof InstanceView, unknown>>): value is InstanceView {
  return (
    texts.every((key) => typeof value[key] === 'string') &&
    Object.entries(numbers).every(([key, bounds]) => isWithin(value[key as keyof InstanceView], bounds)) &&
    states.has(value.status) &&
    Array.isArray(value.tags) &&
    value.tags.every((tag) => typeof tag === 'string')
  );
}

function isNode(value: Partial<Record<keyof Node, unknown>>): boolean {
  return (
    typeof value.url === 'string' &&
    typeof value.az === 'string' &&
    isWithin(value.lastHeartbeat, numbers.lastHeartbeat)
  );
}

function isWithin(value: unknown, [least, most]: readonly [number, number]): boolean {
  return typeof value === 'number' && value >= least && value <= most;
}
