import net from 'node:net';
import { type OoState, ooState, saveRoutes, serveOo } from './oo.ts';
import { LOAD_CORE, listens, PROXY_CORE } from './process.ts';
import { LOAD_HOST, type Setup } from './proxy.ts';
import { sleep } from './stats.ts';

const STARTS = 10;

/** Times from spawning `oo serve`, with two routes in its database, to the first byte of a forwarded 200, ms. */
export async function measureStarts(command: readonly string[], setup: Setup): Promise<number[]> {
  const state = await ooState(command, setup.dir);
  const first = serveOo(state, PROXY_CORE);
  await listens(first, state.adminPort);
  await saveRoutes(state, setup, 0);
  await first.stop();
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) times.push(await oneStart(state));
  return times;
}

async function oneStart(state: OoState): Promise<number> {
  const started = performance.now();
  // Both cores: a start is not a question of CPU time, and no load runs meanwhile.
  const program = serveOo(state, `${PROXY_CORE},${LOAD_CORE}`);
  try {
    for (;;) {
      if (await served(state.port)) return performance.now() - started;
      if (program.hasEnded() || performance.now() - started > 10_000) {
        throw new Error(`oo did not serve within 10 s of its start; it said:\n${program.output()}`);
      }
      await sleep(1);
    }
  } finally {
    await program.stop();
  }
}

/** Whether a request is answered 200 right now; false when refused, closed or answered otherwise. */
function served(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () =>
      socket.write(`GET /small HTTP/1.1\r\nHost: ${LOAD_HOST}\r\n\r\n`),
    );
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => end(false));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('data', (chunk) => end(chunk.toString('latin1', 0, 12) === 'HTTP/1.1 200'));
  });
}
