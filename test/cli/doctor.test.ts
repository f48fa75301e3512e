import { createServer as createHttp } from 'node:http';
import { createServer } from 'node:net';
import { cac } from 'cac';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addDoctorCommand } from '../../cli/doctor.ts';
import { type DoctorHost, thisMachine } from '../../cli/doctor-host.ts';
import { clearSocket } from '../../cli/state.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';

const doctor = suite('cli: oo doctor');

const well: DoctorHost = {
  bind: async () => undefined,
  directory: () => ({ mode: 0o700, writable: true }),
  openFiles: () => 1_048_576,
  clockAhead: async () => 300,
  executable: '/usr/local/bin/oo',
};

async function examined(host: Partial<DoctorHost>, dir = '/nonexistent/state') {
  const io = memoryIo({ OO_STATE_DIR: dir });
  const program = cac('oo');
  addDoctorCommand(program, io, () => ({ ...well, ...host }));
  program.parse(['node', 'oo', 'doctor'], { run: false });
  const error = await program.runMatchedCommand().then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  return { text: io.said.out, error };
}

/** A server on a state directory, that says one thing is not well, or none. */
async function server(ok: boolean) {
  const dir = temporary();
  const lines = [{ what: 'database', ok, message: ok ? 'answers' : 'gone', hint: ok ? '' : 'Bring it back.' }];
  const http = createHttp((request, response) => {
    const answers: Record<string, object> = {
      '/v1/status': { version: '9.9' },
      '/v1/config': { settings: [] },
      '/v1/doctor': { lines },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[request.url ?? ''] ?? {}));
  });
  await new Promise<void>((resolve) => http.listen(clearSocket(dir), resolve));
  return { dir, http };
}

doctor('without a server: what would stand in its way', async () => {
  const { text, error } = await examined({
    bind: async (port) => (port === 80 ? 'EACCES' : port === 443 ? 'EADDRINUSE' : undefined),
    openFiles: () => 1_024,
    clockAhead: async () => -120_000,
  });
  assert.match(
    text,
    /^NOT {2}port of HTTP +no right to bind 80 Run: sudo setcap cap_net_bind_service=\+ep \/usr\/local\/bin\/oo/m,
  );
  assert.match(text, /^NOT {2}port of HTTPS +443 is in use by another program Find it with: ss -ltnp/m);
  assert.match(text, /^ok {3}service port +11337 is free/m);
  assert.match(text, /^NOT {2}open files +1024 at most/m);
  assert.match(text, /^NOT {2}clock +it is 120 s behind/m);
  assert.match(text, /^NOT {2}server +No server is running/m);
  assert.match(error?.message ?? '', /^5 things are not well/);
});

doctor('with a server: its own lines, and all well', async () => {
  const { dir, http } = await server(true);
  const { text, error } = await examined({}, dir);
  assert.is(error, undefined);
  assert.match(text, /^ok {3}server +oo 9\.9 runs$/m);
  assert.match(text, /^ok {3}database +answers$/m);
  assert.not.match(text, /port of HTTP/);
  http.close();
  http.closeAllConnections();
});

doctor('what the server finds wrong makes the command fail', async () => {
  const { dir, http } = await server(false);
  const { text, error } = await examined({ directory: () => ({ mode: 0o755, writable: true }) }, dir);
  assert.match(text, /^NOT {2}database +gone Bring it back\.$/m);
  assert.match(text, /^NOT {2}state directory +others may look into .* \(mode 755\) Run: chmod 700/m);
  assert.match(error?.message ?? '', /^2 things are not well/);
  http.close();
  http.closeAllConnections();
});

doctor('this machine', async () => {
  const host = thisMachine();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  assert.is(await host.bind(port, '127.0.0.1'), 'EADDRINUSE');
  taken.close();
  assert.is(await host.bind(0, '127.0.0.1'), undefined);
  assert.equal(host.directory(temporary())?.writable, true);
  assert.is(host.directory('/nonexistent'), undefined);
  assert.ok((host.openFiles() ?? 0) > 0);
  assert.is(await host.clockAhead('https://127.0.0.1:1/'), undefined);
});

doctor.run();
