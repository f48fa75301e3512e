import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Child, startChild } from '../helpers/child.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { receive, type Sum, send } from './big.ts';
import { showMiB, watchMemory } from './memory.ts';
import { get, type Server, serve } from './oo.ts';

const big = suite('large bodies');

const MiB = 1024 * 1024;
const size = 2048 * MiB;
/** What the sockets' buffers on the way may hold at most: Linux lets two receive buffers grow to 32 MiB each. */
const underWay = 96 * MiB;

let app: Child;
let server: Server;

big.before(async () => {
  app = startChild(join(import.meta.dirname, 'fixtures/big-app.ts'), []);
  await until(() => app.lines().length > 0, 'the app');
  server = await serve();
  const target = `127.0.0.1:${app.lines()[0].split(' ')[1]}`;
  await server.ok('route', 'save', '--id', 'localhost', '--target', target);
  // What is loaded or grown once is not of interest.
  await download(MiB);
  await upload(MiB);
});

big.after(async () => {
  await app.kill();
  const { code } = await server.stop().finally(cleanUp);
  assert.is(code, 0);
});

function ask(method: string, path: string, headers = {}): ClientRequest {
  return request({
    port: server.port,
    host: '127.0.0.1',
    method,
    path,
    agent: false,
    headers: { host: 'localhost', ...headers },
  });
}

function answerOf(asked: ClientRequest): Promise<IncomingMessage> {
  return within(
    new Promise((resolve, reject) => asked.on('response', resolve).on('error', reject)),
    'the response',
    60_000,
  );
}

async function appSum(): Promise<Sum> {
  return JSON.parse((await get(server.port, '/sum')).text);
}

async function download(bytes: number, path = `/${bytes}`, pauseMs = 0): Promise<Sum> {
  const asked = ask('GET', path);
  asked.end();
  const response = await answerOf(asked);
  if (pauseMs > 0) {
    await sleep(pauseMs);
    const sent = await appSum();
    assert.ok(sent.bytes < underWay, `the app has sent ${showMiB(sent.bytes)} to a client that reads nothing`);
  }
  const sum = { bytes: 0, crc: 0 };
  await within(receive(response, sum), 'the download', 60_000);
  assert.equal(await appSum(), sum);
  return sum;
}

async function upload(bytes: number, headers: object = { 'content-length': bytes }, waitMs = 0): Promise<Sum> {
  const asked = ask('PUT', `/?wait=${waitMs}`, headers);
  const sum = { bytes: 0, crc: 0 };
  const sending = send(asked, bytes, sum);
  if (waitMs > 0) {
    await sleep(waitMs - 300);
    assert.ok(sum.bytes < underWay, `the client has sent ${showMiB(sum.bytes)} to an app that reads nothing`);
  }
  await within(sending, 'the upload', 60_000);
  const response = await answerOf(asked);
  let text = '';
  for await (const chunk of response) text += chunk;
  assert.equal(JSON.parse(text), sum);
  return sum;
}

/** Runs it, and holds what it costs oo's processes in memory. */
async function flat(what: string, bytes: number, transfer: () => Promise<Sum>): Promise<void> {
  const memory = watchMemory(server.tree);
  const began = performance.now();
  const sum = await transfer();
  const seconds = (performance.now() - began) / 1000;
  const peak = memory.stop();
  const rate = Math.round(bytes / MiB / seconds);
  const growth = peak - memory.before;
  console.log(`${what}: ${seconds.toFixed(1)} s (${rate} MiB/s), peak ${showMiB(peak)}, ${showMiB(growth)} more`);
  assert.is(sum.bytes, bytes);
  assert.ok(growth < 100 * MiB, `${showMiB(growth)} more memory`);
  // Three processes, of which each counts the 100 MiB of the executable that they share, as far as it is loaded.
  assert.ok(peak < 500 * MiB, `${showMiB(peak)} in all`);
}

big('2 GiB down', () => flat('2 GiB down', size, () => download(size)));

big('2 GiB up', () => flat('2 GiB up', size, () => upload(size)));

big('512 MiB down and up, chunked', async () => {
  await flat('512 MiB down, chunked', size / 4, () => download(size / 4, `/${size / 4}?chunked`));
  await flat('512 MiB up, chunked', size / 4, () => upload(size / 4, { 'transfer-encoding': 'chunked' }));
});

big('256 MiB to a client that reads nothing for a while', () =>
  flat('256 MiB to a slow client', size / 8, () => download(size / 8, `/${size / 8}`, 1_500)),
);

big('256 MiB to an app that reads nothing for a while', () =>
  flat('256 MiB to a slow app', size / 8, () => upload(size / 8, undefined, 1_500)),
);

big('20 slow downloads at once', async () => {
  const bytes = 32 * MiB;
  await flat('20 slow downloads', 20 * bytes, async () => {
    const total = { bytes: 0, crc: 0 };
    const reading = Array.from({ length: 20 }, async () => {
      const asked = ask('GET', `/${bytes}`);
      asked.end();
      const response = await answerOf(asked);
      await sleep(1_000);
      const sum = { bytes: 0, crc: 0 };
      await within(receive(response, sum), 'the download', 30_000);
      total.bytes += sum.bytes;
    });
    await Promise.all(reading);
    return total;
  });
});

big.run();
