// time limit: 180 s
import net from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { direct, streamWrite, useDirectWrite } from '../../src/edge/direct-write.ts';
import { until } from '../helpers/wait.ts';

// What the executable does by itself; the other tests of this folder go by the public way.
const found = useDirectWrite();

const directWrite = suite('direct write');

async function withPair(work: (near: net.Socket, far: net.Socket) => Promise<void>): Promise<void> {
  const server = net.createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const near = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const far = await accepted;
  await new Promise((resolve) => (near.connecting ? near.once('connect', resolve) : resolve(undefined)));
  near.on('error', () => {});
  far.on('error', () => {});
  try {
    await work(near, far);
  } finally {
    near.destroy();
    far.destroy();
    server.close();
  }
}

directWrite('this Node has it, and the data path uses it', () => {
  assert.ok(found);
  assert.is.not(direct.write, streamWrite);
});

directWrite('what the kernel does not take at once arrives too, in order and whole, each from its own buffer', () =>
  withPair(async (near, far) => {
    let at = 0;
    let waited = 0;
    for (; waited < 20 && at < 4_000; at++) {
      const message = Buffer.alloc(8_192, at % 251);
      if (!direct.write(near, message)) waited++;
    }
    assert.is(waited, 20, 'writes that had to wait');
    let arrived = false;
    near.write(Buffer.alloc(0), () => {
      arrived = true;
    });
    assert.not(arrived);
    const got: Buffer[] = [];
    far.on('data', (chunk) => got.push(chunk));
    far.resume();
    await until(() => arrived && got.reduce((sum, chunk) => sum + chunk.length, 0) === at * 8_192, 'all of it', 10_000);
    const whole = Buffer.concat(got);
    for (let i = 0; i < at; i++) {
      assert.is(whole[i * 8_192], i % 251);
      assert.is(whole[i * 8_192 + 8_191], i % 251);
    }
  }),
);

directWrite('an error reaches the socket as it would by the public way', () =>
  withPair(async (near, far) => {
    far.resetAndDestroy();
    let gone = false;
    near.on('close', () => {
      gone = true;
    });
    const message = Buffer.alloc(1_024);
    await until(
      () => {
        if (!near.destroyed) direct.write(near, message);
        return gone;
      },
      'the end of the socket',
      5_000,
    );
  }),
);

directWrite.run();

// The same edge, judged by the same tests.
const names = ['forwarding', 'isolation', 'buffers', 'upstream-attacks', 'timeouts', 'retry', 'change', 'large'];
for (const name of [...names, 'http2-forwarding', 'http2-soak', 'upstream-http2', 'upstream-flow', 'upstream-both']) {
  await import(`./${name}.test.ts`);
}
