import { createAdminApp } from '../../src/admin/app.ts';
import type { CertificateAdmin } from '../../src/admin/certs.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { createExplain } from '../../src/admin/explain.ts';
import type { ExplainRequest, Explanation, ServerFacts } from '../../src/admin/explain-types.ts';
import { createRecent } from '../../src/admin/recent.ts';
import type { Live, LiveInstance } from '../../src/admin/status.ts';
import type { RequestHead } from '../../src/core/impact.ts';
import type { Route } from '../../src/core/types.ts';
import type { Definition, ServicePool } from '../../src/services/types.ts';
import { memoryStore } from './memory-store.ts';

export interface ExplainedWorld {
  routes?: Route[];
  services?: Definition[];
  pools?: ServicePool[];
  instances?: Partial<LiveInstance>[];
  certificates?: Pick<CertificateAdmin, 'get'>;
  heads?: RequestHead[];
  server?: Partial<ServerFacts>;
  tokens?: (pool: string, address: string) => readonly string[];
}

/** What was said of an instance, with the rest as of one that nobody has met. */
function instance(more: Partial<LiveInstance>): LiveInstance {
  const key = more.key ?? '';
  return {
    ...{ key, address: key.split(' ')[0], state: 'Unknown', since: 0, reason: '', ejected: null, pools: [] },
    ...{ requests: 0, failures: 0, inFlight: 0, open: 0, breaker: '', latencyMs: -1 },
    ...more,
  };
}

/** A server's word on requests, with all that it knows given. */
export async function explained(world: ExplainedWorld) {
  const { routes = [], services = [], pools = [], instances = [], certificates, heads = [], server, tokens } = world;
  const configuration = await createConfiguration({
    store: memoryStore(routes, 3, services),
    publish: async () => {},
  });
  const live = async (): Promise<Live> => ({
    ...{ at: 0, revision: 3, workers: 1, pools: [], quiet: 0 },
    instances: instances.map(instance),
  });
  const explain = createExplain({
    ...{ configuration, live, certificates, now: () => 1_000_000 },
    registry: { pool: (slug) => pools.find((pool) => pool.slug === slug) },
    server: () => ({
      ...{ http: 80, https: 443, service: 11337, trustedProxies: [] },
      ...{ connectTimeoutMs: 5_000, responseTimeoutMs: 60_000, idleTimeoutMs: 60_000, tunnelIdleMs: 3_600_000 },
      ...server,
    }),
    ...(tokens && { stickyTokens: tokens }),
  });
  const recent = createRecent({ configuration, heads: async () => heads });
  const app = createAdminApp({ configuration, explain, recent, version: '1' });
  return {
    ...{ configuration, explain, app },
    /** Throws for what cannot be explained. */
    async ask(request: ExplainRequest | string): Promise<Explanation> {
      const told = await explain(typeof request === 'string' ? { url: request } : request);
      if ('error' in told) throw new Error(told.error);
      return told;
    },
  };
}
