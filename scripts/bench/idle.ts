import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { LOAD_CORE, memoryOf } from './process.ts';
import { type Contender, LOAD_HOST, TLS_NAME } from './proxy.ts';
import { sleep } from './stats.ts';

export const IDLE_CONNECTIONS = 10_000;

/** Growth of a proxy's memory for each idle client connection that has had one request answered, bytes. */
export async function measureIdle(proxy: Contender, secure: boolean): Promise<number> {
  const before = memoryOf(proxy.program.pid);
  const script = join(import.meta.dirname, 'idle-client.ts');
  const port = secure ? proxy.tlsPort : proxy.port;
  const args = [script, `${port}`, `${IDLE_CONNECTIONS}`, LOAD_HOST, '/small', ...(secure ? [TLS_NAME] : [])];
  const client = spawn('taskset', ['-c', LOAD_CORE, process.execPath, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => client.on('close', resolve));
  try {
    let said = '';
    const ready = new Promise<void>((resolve) => {
      client.stdout.on('data', (text) => {
        said += text;
        if (said === 'ready\n') resolve();
      });
    });
    const state = await Promise.race([ready.then(() => 'ready'), ended.then(() => 'ended'), sleep(60_000)]);
    if (state !== 'ready') throw new Error(`${proxy.name}: ${IDLE_CONNECTIONS} connections could not be opened`);
    await sleep(2000);
    const after = memoryOf(proxy.program.pid);
    client.stdin.end();
    if ((await ended) !== 0) throw new Error(`${proxy.name} closed idle connections while they were counted`);
    return (after - before) / IDLE_CONNECTIONS;
  } finally {
    client.kill();
  }
}
