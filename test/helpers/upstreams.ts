import type { Edge } from '../../src/edge/edge.ts';
import type { UpstreamConnection } from '../../src/edge/upstream.ts';

/** The open connections of an edge whose upstreams all speak HTTP/1.1. */
export function connectionsOf(edge: Edge): UpstreamConnection[] {
  return [...edge.upstreams] as UpstreamConnection[];
}
