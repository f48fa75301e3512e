import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { until } from '../helpers/wait.ts';
import { startLoad } from './load.ts';
import { freePort, get, type Program, run, type Server, start, withServer } from './oo.ts';

const rolling = suite('a service is restarted while it is used');
rolling.after.each(cleanUp);

/** Slow, and without any thought of its end: SIGTERM cuts what it is answering. */
const app = (port: number) =>
  `require('node:http').createServer((q, r) => setTimeout(() => r.end('here'), 30)).listen(${port}, '127.0.0.1')`;

async function startInstance(server: Server, port: number): Promise<Program> {
  const words = ['instance', 'register', '--slug', 'user-svc', '--url', `http://127.0.0.1:${port}`];
  const program = start([...words, '--state-dir', server.stateDir, '--', process.execPath, '-e', app(port)]);
  await until(() => program.err().includes('registered http'), `registered; ${program.err()}`, 30_000);
  return program;
}

rolling('two instances, one after the other, by SIGTERM: no request fails', async () => {
  await withServer(
    async (server) => {
      // Retries would hide what went wrong.
      const input = JSON.stringify({ id: 'user-svc', retry: false });
      await run(['definition', 'save', '-', '--state-dir', server.stateDir], { input });
      const ports = [await freePort(), await freePort()];
      const programs = await Promise.all(ports.map((port) => startInstance(server, port)));
      assert.is((await get(server.adminPort, '/user-svc/x')).text, 'here');
      const load = startLoad(server.adminPort, 100, `127.0.0.1:${server.adminPort}`, '/user-svc/x');
      for (const [i, port] of ports.entries()) {
        const { code } = await programs[i].stop(30_000);
        assert.is(code, 143, 'its command was ended by the signal');
        assert.match(programs[i].err(), 'deregistered inst_');
        programs[i] = await startInstance(server, port);
      }
      const samples = await load.stop();
      const failed = samples.filter(({ status }) => status !== 200);
      assert.is(failed.length, 0, JSON.stringify(failed.slice(0, 3)));
      assert.ok(samples.length > 100, `${samples.length} requests`);
      await Promise.all(programs.map((program) => program.stop(30_000)));
    },
    { flags: ['--workers', '2'] },
  );
});

rolling.run();
