import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { clearSocket } from '../../cli/state.ts';
import { createApi } from '../../src/admin/operation.ts';
import { addRolloutCalls } from '../../src/admin/rollout-api.ts';
import type { Rollouts } from '../../src/admin/rollout-types.ts';
import { ooAt } from './cert-cli.ts';
import { temporary } from './temporary.ts';

/** The API of some rollouts on a state directory's socket, and `oo` as its user runs it. */
export async function rolloutServer(rollouts: Rollouts) {
  const dir = temporary();
  const app = new Hono();
  const faults: Error[] = [];
  const api = createApi(app);
  addRolloutCalls(api, rollouts, { onError: (error) => faults.push(error) });
  api.finish();
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(clearSocket(dir), resolve));
  return {
    ...{ dir, app, faults, oo: ooAt(dir) },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
