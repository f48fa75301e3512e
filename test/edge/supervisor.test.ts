import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const supervisors = suite('supervisor');

supervisors('neither a worker’s nonsense nor a lack of file descriptors ends it; its worker comes back', async () => {
  const program = fileURLToPath(new URL('./fixtures/supervised.ts', import.meta.url));
  const limited = ['-c', 'ulimit -n 100; exec "$0" "$1"', process.execPath, program];
  const { stdout } = await promisify(execFile)('/bin/sh', limited, { timeout: 40_000, killSignal: 'SIGKILL' });
  assert.equal(stdout.trim().split('\n'), ['heard nonsense', 'had none left', '404']);
});

supervisors.run();
