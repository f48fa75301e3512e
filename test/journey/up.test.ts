import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';
import { freePort, run, start } from './oo.ts';

const up = suite('journey: oo up');

up.after.each(cleanUp);

async function origin(text: string): Promise<number> {
  const server = closeLater(createServer((_, response) => response.end(text)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function get(port: number, host: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, servername: host, headers: { host }, ca, agent: false, timeout: 5_000 };
    const asked = request(options, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve(text);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', reject).end();
  });
}

up('a host is served with HTTPS in one step, another one by the server that runs, and Ctrl-C ends it', async () => {
  const [http, https, admin] = [await freePort(), await freePort(), await freePort()];
  const port = await origin('one');
  const env = {
    OO_STATE_DIR: temporary(),
    OO_HTTP_PORT: `${http}`,
    OO_HTTPS_PORT: `${https}`,
    OO_ADMIN_PORT: `${admin}`,
  };
  const server = start(['up', 'one.localhost', `:${port}`], { env });
  await until(() => server.out() !== '' || server.hasEnded(), `the URL; it wrote ${server.err()}`, 20_000);
  assert.is(server.out(), `https://one.localhost:${https}/\n`, server.err());
  const { out: ca } = await run(['trust', '--print'], { env });
  assert.is(await get(https, 'one.localhost', ca), 'one');

  const second = await run(['up', 'two.localhost/app', `http://127.0.0.1:${await origin('two')}`], { env });
  assert.equal([second.code, second.out], [0, `https://two.localhost:${https}/app/\n`], second.err);
  assert.match(second.err, /^created two\.localhost\/app: its requests go to http:/);
  const again = await run(['up', 'one.localhost', `${port}`], { env });
  assert.match(again.err, /^unchanged one\.localhost/);
  const history = await run(['history', '-o', 'json'], { env });
  assert.equal(
    JSON.parse(history.out).map(({ reason }: { reason: string }) => reason),
    ['oo up', 'oo up'],
  );
  server.signal('SIGINT');
  const { code } = await within(server.ended, 'the end after SIGINT', 15_000);
  assert.is(code, 0, server.err());
});

up('what is wrong is said at once, and nothing is left running', async () => {
  const env = { OO_STATE_DIR: temporary() };
  for (const [line, message] of [
    [['up', 'one.localhost', 'ftp://x'], /^oo: Target 'ftp:\/\/x' has the unknown scheme 'ftp'/],
    [['up', 'http://x', ':1'], /^oo: Id 'http:\/\/x'/],
    [['up', 'one.localhost', ':99999'], /^oo: Target/],
    [['up', 'one.localhost'], /^oo: .*arg/],
  ] as const) {
    const { code, out, err } = await run(line, { env });
    assert.equal([code, out], [2, ''], err);
    assert.match(err, message);
  }
});

up('in test mode it is plain HTTP', async () => {
  const http = await freePort();
  const flags = ['--test-mode', '--http-port', `${http}`, '--admin-port', `${await freePort()}`];
  const env = { OO_STATE_DIR: temporary() };
  const server = start(['up', 'one.localhost', `:${await origin('one')}`, ...flags], { env });
  await until(() => server.out() !== '' || server.hasEnded(), `the URL; it wrote ${server.err()}`, 20_000);
  assert.is(server.out(), `http://one.localhost:${http}/\n`, server.err());
  await server.stop();
});

up.run();
