import type { InstanceView, Node } from '../services/types.ts';

/** An instance as the API shows it: the seed's fields, then ours. Times are RFC 3339, UTC. */
export interface InstanceInfo {
  readonly id: string;
  readonly url: string;
  readonly deploymentId: string;
  readonly nodeUrl: string;
  readonly lastHeartbeat: string;
  readonly path: string;
  readonly scheme: string;
  readonly host: string;
  readonly ip: string;
  readonly port: number;
  readonly status: InstanceView['status'];
  readonly details: string;
  readonly slug: string;
  readonly tags: readonly string[];
  /** How long it lives after a heartbeat. */
  readonly ttlSeconds: number;
  readonly weight: number;
  readonly priority: number;
  readonly statusSince: string;
  readonly createdAt: string;
}

/** A machine that runs oo. */
export interface NodeInfo {
  readonly id: string;
  readonly url: string;
  readonly az: string;
  /** RFC 3339, UTC. */
  readonly lastHeartbeat: string;
}

export function instanceInfo(instance: InstanceView): InstanceInfo {
  const { id, url, deploymentId, nodeUrl, path, scheme, host, ip, port, status, details, slug, tags } = instance;
  return {
    ...{ id, url, deploymentId, nodeUrl, lastHeartbeat: rfc3339(instance.lastHeartbeat) },
    ...{ path, scheme, host, ip, port, status, details, slug, tags },
    ttlSeconds: instance.ttlMs / 1_000,
    weight: instance.weight,
    priority: instance.priority,
    statusSince: rfc3339(instance.statusSince),
    createdAt: rfc3339(instance.createdAt),
  };
}

export function nodeInfo({ id, url, az, lastHeartbeat }: Node): NodeInfo {
  return { id, url, az, lastHeartbeat: rfc3339(lastHeartbeat) };
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
