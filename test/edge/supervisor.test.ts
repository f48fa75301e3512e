import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const supervisors = suite('supervisor');
const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim());

supervisors('neither a worker’s nonsense nor a lack of file descriptors ends it; its worker comes back', async () => {
  const program = fileURLToPath(new URL('./fixtures/supervised.ts', import.meta.url));
  const limited = ['-c', 'ulimit -n 100; exec "$0" "$1"', process.execPath, program];
  const { stdout } = await promisify(execFile)('/bin/sh', limited, { timeout: 40_000, killSignal: 'SIGKILL' });
  assert.equal(stdout.trim().split('\n'), ['heard nonsense', 'had none left', '404']);
});

supervisors('the heads of the last requests come from all workers, as many as they are told to keep', async () => {
  const program = fileURLToPath(new URL('./fixtures/recent.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 40_000, killSignal: 'SIGKILL' });
  assert.equal(linesOf(stdout), [
    'default GET http://127.0.0.1/a GET http://127.0.0.1/b',
    'none',
    'still none',
    'again GET http://127.0.0.1/d',
  ]);
});

supervisors.run();
