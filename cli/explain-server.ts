import type { AdminOptions } from '../src/admin/app.ts';
import type { Configuration } from '../src/admin/configuration.ts';
import { createExplain } from '../src/admin/explain.ts';
import { createRecent } from '../src/admin/recent.ts';
import type { ReadLive } from '../src/admin/status.ts';
import { stickyToken } from '../src/edge/sticky-token.ts';
import type { Supervisor } from '../src/edge/supervisor.ts';

export interface ExplainedServer extends Pick<AdminOptions, 'registry' | 'certificates'> {
  readonly configuration: Configuration;
  readonly supervisor: Supervisor;
  readonly live: ReadLive;
}

/** What a running server says of requests: what would become of one, and what a change would do to those seen lately. */
export function explainServer({
  configuration,
  supervisor,
  ...rest
}: ExplainedServer): Required<Pick<AdminOptions, 'explain' | 'recent'>> {
  return {
    explain: createExplain({
      ...{ ...rest, configuration, now: Date.now },
      server() {
        const { settings, port, httpsPort, servicePort } = supervisor;
        return { ...settings, http: port, https: httpsPort, service: servicePort };
      },
      stickyTokens: (pool, address) =>
        supervisor.secrets.map((secret) => stickyToken(Buffer.from(secret, 'base64'), pool, address)),
    }),
    recent: createRecent({ configuration, heads: () => supervisor.recentHeads() }),
  };
}
