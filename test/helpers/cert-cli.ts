import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { createProgram } from '../../cli/program.ts';
import { clearSocket } from '../../cli/state.ts';
import type { TrustHost } from '../../cli/trust-host.ts';
import { createAdminApp } from '../../src/admin/app.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { memoryCertificates } from './memory-certificates.ts';
import { memoryIo } from './memory-io.ts';
import { memoryStore } from './memory-store.ts';
import { temporary } from './temporary.ts';

/** A server's admin API over certificates in memory, on a state directory's socket, and `oo` as its user runs it. */
export async function certServer(memory = memoryCertificates()) {
  const dir = temporary();
  const configuration = await createConfiguration({ store: memoryStore([]), publish: async () => {} });
  const app = createAdminApp({ configuration, certificates: memory, version: '1' });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(clearSocket(dir), resolve));
  return {
    dir,
    memory,
    oo: ooAt(dir),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Runs `oo` on a state directory. @param line words between spaces, or a list */
export function ooAt(dir: string, env: Record<string, string> = {}, host?: TrustHost) {
  return async (line: string | readonly string[], input = '') => {
    const io = memoryIo({ OO_STATE_DIR: dir, USER: 'ann', ...env }, input);
    const code = await createProgram(io, '1', host && (() => host)).run(
      typeof line === 'string' ? line.split(' ') : line,
    );
    return { code, ...io.said };
  };
}
