import type { Socket } from 'node:net';
import { largeBytes, largeHash, seededBody, sendLarge, sha1 } from '../../helpers/bodies.ts';
import { connect } from '../../helpers/client.ts';
import { reply, startOrigin } from '../../helpers/origin.ts';
import { sleep, until, within } from '../../helpers/wait.ts';
import { showMiB, watchMemory } from '../../journey/memory.ts';
import { ask, codeOf, type Group, hold, requestText, see } from '../check.ts';
import { begin, type Digest, digest, httpOrigin, sentBy } from '../http.ts';
import type { Subject } from '../runtime.ts';

const sizes = [0, 1, 65_536];
const mostGrowth = 64 * 1024 * 1024;
/** V8 looks for dead buffers when there are another 64 MB of them. */
const mostGrowthOfNode = 2 * mostGrowth;
/** What may be between two who do not read: buffers of sockets and of streams, no body. */
const mostBuffered = 48_000_000;
const largeMs = 25_000;

/** The same bytes in chunks of odd sizes. */
function chunked(body: Buffer): string {
  const chunks: string[] = [];
  for (let at = 0; at < body.length; at += 8_191) {
    const part = body.subarray(at, at + 8_191);
    chunks.push(`${part.length.toString(16)}\r\n${part.toString('latin1')}\r\n`);
  }
  return `${chunks.join('')}0\r\n\r\n`;
}

/** A large body on its way. */
interface Flow {
  /** Bytes that have left the sender. */
  sent(): number;
  /** Bytes that the reader has. */
  got(): number;
  readonly whole: Promise<{ readonly bytes: number; readonly hash: string }>;
}

/** Sends the large body: it arrives whole, only a little of it is under way at any time, and the subject grows only a little. */
async function flat(subject: Subject, start: () => Promise<Flow>): Promise<void> {
  const isNode = subject.name === 'node';
  if (isNode) await within((await start()).whole, 'the large body before', largeMs);
  const memory = watchMemory(() => subject.pids());
  const flow = await start();
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, flow.sent() - flow.got());
  }, 5);
  try {
    see(await within(flow.whole, 'the large body', largeMs), { bytes: largeBytes, hash: largeHash() }, 'what came');
  } finally {
    clearInterval(watch);
    const growth = memory.stop() - memory.before;
    if (process.env.CONTRACT_VERBOSE) console.error(`${showMiB(most)} under way, grew by ${showMiB(growth)}`);
    hold(most < mostBuffered, `${showMiB(most)} were under way at one time`);
    const limit = isNode ? mostGrowthOfNode : mostGrowth;
    hold(growth < limit, `grew by ${showMiB(growth)} for a body of ${showMiB(largeBytes)}`);
  }
}

export const bodies: Group = {
  title: 'Bodies',
  checks: [
    {
      name: '0 B, 1 B and 64 KiB to the target, with a length and in chunks',
      async run(subject) {
        const origin = await startOrigin(({ body }) => reply(`${body.length} ${sha1(body)}`));
        await subject.use({ id: 'app.test', target: origin.target });
        for (const size of sizes) {
          const body = seededBody('up', size);
          const expected = `${size} ${sha1(body)}`;
          const sized = await ask(subject, '/', { method: 'POST', body: body.toString('latin1') });
          see([sized.status, sized.text], [200, expected], `${size} B with a length`);
          const client = connect(subject.port);
          client.send(
            `${requestText('/', { method: 'POST', fields: 'Transfer-Encoding: chunked\r\n' })}${chunked(body)}`,
          );
          const answer = await client.response();
          see([answer.status, answer.text], [200, expected], `${size} B in chunks`);
        }
      },
    },
    {
      name: '0 B, 1 B and 64 KiB to the client, with a length and in chunks',
      async run(subject) {
        const origin = await startOrigin(({ line }) => {
          const [, kind, size] = line.split(' ')[1].split('/');
          const body = seededBody('down', Number(size));
          return kind === 'sized'
            ? reply(body)
            : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(body)}`;
        });
        await subject.use({ id: 'app.test', target: origin.target });
        for (const size of sizes)
          for (const kind of ['sized', 'chunked']) {
            const answer = await ask(subject, `/${kind}/${size}`);
            see([answer.body.length, sha1(answer.body)], [size, sha1(seededBody('down', size))], `${size} B ${kind}`);
          }
      },
    },
    {
      name: "a response's Content-Length reaches the client",
      async run(subject) {
        const origin = await startOrigin(() => reply('12345'));
        await subject.use({ id: 'app.test', target: origin.target });
        see((await ask(subject, '/')).get('content-length') ?? null, '5', 'Content-Length');
      },
    },
    {
      name: "a request's Content-Length reaches the target",
      async run(subject) {
        const origin = await startOrigin(() => reply('x'));
        await subject.use({ id: 'app.test', target: origin.target });
        await ask(subject, '/', { method: 'POST', body: '12345' });
        see(origin.requests[0]?.get('content-length') ?? null, '5', 'Content-Length');
      },
    },
    {
      name: 'a body that ends with its connection',
      async run(subject) {
        const origin = await startOrigin((_, { socket }) => void socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'));
        await subject.use({ id: 'app.test', target: origin.target });
        see((await ask(subject, '/')).text, 'to the end', 'the body');
      },
    },
    {
      name: '100 MB to the target, in flat memory',
      async run(subject) {
        let read: (digest: Digest) => void = () => {};
        const origin = await httpOrigin((request, response) => {
          const digested = digest(request);
          read(digested);
          digested.whole.then(
            () => response.end(),
            () => {},
          );
        });
        await subject.use({ id: 'app.test', target: origin.target });
        await flat(subject, async () => {
          const begun = new Promise<Digest>((resolve) => {
            read = resolve;
          });
          const { asked } = begin(subject, 'POST', { 'content-length': `${largeBytes}` });
          void sendLarge(asked).then(() => asked.end());
          const { bytes, whole } = await within(begun, 'the request at the target');
          return { sent: () => sentBy(asked.socket), got: bytes, whole };
        });
      },
    },
    {
      name: '100 MB to the client, in flat memory',
      async run(subject) {
        let socket: Socket | null = null;
        let before = 0;
        const origin = await httpOrigin((_, response) => {
          socket = response.socket;
          before = sentBy(socket);
          response.writeHead(200, { 'content-length': `${largeBytes}` });
          void sendLarge(response).then(() => response.end());
        });
        await subject.use({ id: 'app.test', target: origin.target });
        await flat(subject, async () => {
          const { asked, response } = begin(subject, 'GET');
          asked.end();
          const { bytes, whole } = digest(await within(response, 'the answer'));
          return { sent: () => sentBy(socket) - before, got: bytes, whole };
        });
      },
    },
    {
      name: 'a client that stops reading stops the origin',
      async run(subject) {
        let sent = 0;
        const origin = await httpOrigin((_, response) => {
          const part = Buffer.alloc(65_536);
          const more = () => {
            while (!response.destroyed && sent < largeBytes) {
              sent += part.length;
              if (!response.write(part)) return void response.once('drain', more);
            }
          };
          more();
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const { asked, response } = begin(subject, 'GET');
        asked.end();
        (await response).pause();
        await settled(() => sent);
        hold(sent < mostBuffered, `the origin could send ${sent} bytes that nobody read`);
      },
    },
    {
      name: 'a target that stops reading stops the client',
      async run(subject) {
        const origin = await httpOrigin(() => {});
        await subject.use({ id: 'app.test', target: origin.target });
        const { asked } = begin(subject, 'POST', { 'content-length': `${largeBytes}` });
        void sendLarge(asked);
        const taken = () => sentBy(asked.socket);
        await settled(taken);
        hold(taken() < mostBuffered, `the client could send ${taken()} bytes that nobody read`);
      },
    },
    {
      name: 'a body over `maxBodyBytes` is refused with 413, also where it names no length',
      async run(subject) {
        let whole = 0;
        const origin = await httpOrigin((request, response) => {
          request.on('error', () => {});
          request.resume().on('end', () => {
            whole++;
            response.end('taken');
          });
        });
        await subject.use({ id: 'app.test', target: origin.target, maxBodyBytes: 10 });
        const fits = await ask(subject, '/', { method: 'POST', body: '0123456789' });
        see([fits.status, fits.text], [200, 'taken'], '10 B');
        const sized = await ask(subject, '/', { method: 'POST', body: '0123456789a' });
        see([sized.status, codeOf(sized)], [413, 'OO_BODY_TOO_LARGE'], '11 B with a length');
        const client = connect(subject.port);
        const head = requestText('/', { method: 'POST', fields: 'Transfer-Encoding: chunked\r\n' });
        client.send(`${head}${chunked(Buffer.alloc(11, 'x'))}`);
        const answer = await client.response();
        see([answer.status, codeOf(answer)], [413, 'OO_BODY_TOO_LARGE'], '11 B in chunks');
        see(whole, 1, 'requests that the target took for whole');
      },
    },
  ],
};

/** Waits until a number has not grown for 400 ms. */
async function settled(of: () => number): Promise<void> {
  await until(() => of() > 0, 'the first bytes');
  for (let last = -1, i = 0; last !== of() && i < 50; i++) {
    last = of();
    await sleep(400);
  }
}
