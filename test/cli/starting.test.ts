import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { caller } from '../../cli/client.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, within } from '../helpers/wait.ts';
import { freePort, get, start } from '../journey/oo.ts';

// Requests are answered a moment before the admin socket is there.
const starting = suite('a server that is just starting');
starting.after.each(cleanUp);

const answer: RequestListener = (_, response) => response.end('{"ok":true}');

starting('a command waits for the socket of who holds the lock', async () => {
  const stateDir = temporary();
  writeFileSync(join(stateDir, 'oo.lock.pid'), `${process.pid}\n`);
  const answered = caller({ stateDir, actor: 'test' })('GET', '/v1/status');
  await sleep(200);
  const server = createServer(answer).listen(join(stateDir, 'oo.sock'));
  closeLater(server);
  assert.equal(await within(answered, 'the answer'), { ok: true });
});

starting('nobody holds the lock: it is said at once', async () => {
  const stateDir = temporary();
  // A process that can't be: over the kernel's limit.
  for (const note of ['4194305\n', 'x', undefined]) {
    if (note !== undefined) writeFileSync(join(stateDir, 'oo.lock.pid'), note);
    const began = performance.now();
    const failed = await caller({ stateDir, actor: 'test' })('GET', '/v1/status').then(
      String,
      (error) => error.message,
    );
    assert.match(failed, 'No server is running');
    assert.ok(performance.now() - began < 3_000);
  }
});

/** Asks again and again until the port is answered, or not any more. */
async function untilAnswered(port: number, answered: boolean): Promise<void> {
  for (const end = performance.now() + 10_000; ; await sleep(5)) {
    const is = await get(port).then(
      () => true,
      () => false,
    );
    if (is === answered) return;
    if (performance.now() > end) throw new Error(`port ${port} is ${answered ? 'not ' : ''}answered for 10 s`);
  }
}

starting('oo serve: saved and stopped at the first answer', async () => {
  const [stateDir, port, admin] = [temporary(), await freePort(), await freePort()];
  const flags = ['--http-port', `${port}`, '--admin-port', `${admin}`, '--state-dir', stateDir];
  for (let round = 0; round < 3; round++) {
    const server = start(['serve', '--test-mode', ...flags]);
    await untilAnswered(port, true);
    const route = ['--id', `a${round}.test`, '--target', 'http://127.0.0.1:1', '--state-dir', stateDir];
    const saved = start(['route', 'save', ...route]);
    assert.is((await within(saved.ended, 'the end of save')).code, 0, saved.err());
    assert.is((await server.stop()).code, 0, server.err());
    const early = start(['serve', '--test-mode', ...flags]);
    await untilAnswered(port, true);
    assert.is((await early.stop()).code, 0, early.err());
    await untilAnswered(port, false);
  }
});

starting.run();
