import { workerVariable } from '../src/edge/messages.ts';
import { handlerVariable } from '../src/handler/protocol.ts';

/** One program, three roles: data workers and handlers' processes are this same executable, started by the server with a variable. */
async function main(): Promise<void> {
  if (process.env[workerVariable] !== undefined && process.send !== undefined) {
    const { runWorker } = await import('../src/edge/worker.ts');
    return runWorker();
  }
  if (process.env[handlerVariable] !== undefined && process.send !== undefined) {
    const { runHandler } = await import('../src/handler/run.ts');
    return runHandler();
  }
  const { createOo } = await import('./oo.ts');
  process.exitCode = await createOo().run(process.argv.slice(2));
}

// Who reads the output may leave (`| head`, a log collector that is restarted): no reason for a proxy to end.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

void main();
