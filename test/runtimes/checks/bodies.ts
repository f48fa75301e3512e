import { largeBytes, largeHash, seededBody, sendLarge, sha1 } from '../../helpers/bodies.ts';
import { connect } from '../../helpers/client.ts';
import { reply, startOrigin } from '../../helpers/origin.ts';
import { sleep, until, within } from '../../helpers/wait.ts';
import { showMiB, watchMemory } from '../../journey/memory.ts';
import { ask, codeOf, type Group, hold, requestText, see } from '../check.ts';
import { begin, digest, httpOrigin } from '../http.ts';
import type { Subject } from '../runtime.ts';

const sizes = [0, 1, 65_536];
/** Below what is sent; the garbage of Node is half of it. */
const mostGrowth = 80 * 1024 * 1024;
/** What may be between two who do not read: buffers of sockets and of streams, no body. */
const mostBuffered = 24_000_000;
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

/** Runs `work`, in which the subject may grow only a little. */
async function flat<T>(subject: Subject, work: () => Promise<T>): Promise<T> {
  const memory = watchMemory(() => subject.pids());
  try {
    return await within(work(), 'the large body', largeMs);
  } finally {
    const growth = memory.stop() - memory.before;
    if (process.env.CONTRACT_VERBOSE) console.error(`grew by ${showMiB(growth)} from ${showMiB(memory.before)}`);
    hold(growth < mostGrowth, `grew by ${showMiB(growth)} for a body of ${showMiB(largeBytes)}`);
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
        let got: Promise<{ bytes: number; hash: string }> | undefined;
        const origin = await httpOrigin((request, response) => {
          got = digest(request);
          void got.then(
            ({ bytes }) => response.end(`${bytes}`),
            () => {},
          );
        });
        await subject.use({ id: 'app.test', target: origin.target });
        await flat(subject, async () => {
          const { asked, response } = begin(subject, 'POST', { 'content-length': `${largeBytes}` });
          await sendLarge(asked);
          asked.end();
          see((await response).statusCode, 200, 'status');
        });
        see(await got, { bytes: largeBytes, hash: largeHash() }, 'what came');
      },
    },
    {
      name: '100 MB to the client, in flat memory',
      async run(subject) {
        const origin = await httpOrigin((_, response) => {
          response.writeHead(200, { 'content-length': `${largeBytes}` });
          void sendLarge(response).then(() => response.end());
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const got = await flat(subject, async () => {
          const { asked, response } = begin(subject, 'GET');
          asked.end();
          return digest(await response);
        });
        see(got, { bytes: largeBytes, hash: largeHash() }, 'what came');
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
        const taken = () => (asked.socket?.bytesWritten ?? 0) - (asked.socket?.writableLength ?? 0);
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
