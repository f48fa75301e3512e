import type { InstanceView } from '../../src/services/types.ts';

/** An instance, with every field filled. */
export function instanceOf(id: string, more: Partial<InstanceView> = {}): InstanceView {
  return {
    ...{ id, slug: 'user-svc', url: `http://${id}.local:3000/base`, scheme: 'http', host: `${id}.local`, ip: '' },
    ...{ port: 3000, path: '/base', deploymentId: 'v1', nodeUrl: 'http://node', tags: ['a', 'b'], ttlMs: 90_000 },
    ...{ weight: 1, priority: 0, createdAt: 5, lastHeartbeat: 10, status: 'Healthy', details: '', statusSince: 7 },
    ...more,
  } as InstanceView;
}
