import type { Server } from 'node:http';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { createProgram } from '../../cli/program.ts';
import { clearSocket } from '../../cli/state.ts';
import { openDatabase } from '../../db/database.ts';
import { createAdminApp } from '../../src/admin/app.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { type MemoryCertificates, memoryCertificates } from './memory-certificates.ts';
import type { MemoryIo } from './memory-io.ts';
import { memoryIo } from './memory-io.ts';
import { temporary } from './temporary.ts';

/** A server's configuration on a real database, with its API on a state directory's socket, and `oo` as its user runs it. */
export async function configurationServer() {
  const dir = temporary();
  const database = await openDatabase({ url: join(dir, 'oo.db') });
  const configuration = await createConfiguration({ store: database.configuration, publish: async () => {} });
  const certificates: MemoryCertificates = {
    ...memoryCertificates([]),
    prove: async ({ id = 'a.example.com', cert, key }) => ({ id, cert, key }),
  };
  const app = createAdminApp({ configuration, certificates, version: '1' });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(clearSocket(dir), resolve));
  const run = async (io: MemoryIo, line: string | readonly string[]) => {
    const code = await createProgram(io, '1').run(typeof line === 'string' ? line.split(' ') : line);
    return { code, ...io.said };
  };
  const env = { OO_STATE_DIR: dir, USER: 'ann', OO_CONFIG: join(dir, 'no-contexts.json') };
  return {
    ...{ dir, app, configuration, certificates },
    /** @param line words between spaces, or a list */
    oo: (line: string | readonly string[], input = '', more: Record<string, string> = {}) =>
      run(memoryIo({ ...env, ...more }, input), line),
    /** The same at a terminal, where each question is answered so. */
    ooAtTerminal: async (
      line: string | readonly string[],
      answers: string[] = [],
      more: Record<string, string> = {},
    ) => {
      const asked: string[] = [];
      const ask = async (question: string) => {
        asked.push(question);
        return answers.shift();
      };
      const io = { ...memoryIo({ ...env, ...more }), person: { colors: true, watches: true, ask } };
      return { ...(await run(io, line)), asked };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await configuration.close();
      database.close();
    },
  };
}

export type ConfigurationServer = Awaited<ReturnType<typeof configurationServer>>;
