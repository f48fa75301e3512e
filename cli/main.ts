import { workerVariable } from '../src/edge/messages.ts';

/** One program, two roles: a data worker is this same executable, started by the server with a variable. */
async function main(): Promise<void> {
  if (process.env[workerVariable] !== undefined && process.send !== undefined) {
    const { runWorker } = await import('../src/edge/worker.ts');
    return runWorker();
  }
  const { createOo } = await import('./oo.ts');
  process.exitCode = await createOo().run(process.argv.slice(2));
}

// Who reads the output may leave (`| head`, a log collector that is restarted): no reason for a proxy to end.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

void main();
