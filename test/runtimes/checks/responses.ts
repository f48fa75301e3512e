import { brotliCompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { connect } from '../../helpers/client.ts';
import type { Message } from '../../helpers/message.ts';
import { reply, startOrigin } from '../../helpers/origin.ts';
import { type Ask, ask, type Group, hold, limit, requestText, see } from '../check.ts';
import { embeddings, type Subject } from '../runtime.ts';

/** Has the origin answer with these bytes. @returns the response as the client got it */
async function got(subject: Subject, response: string, options: Ask = {}): Promise<Message> {
  const origin = await startOrigin(() => response);
  await subject.use({ id: 'app.test', target: origin.target });
  return ask(subject, '/', options);
}

const plain = 'some text of the origin. '.repeat(40);
const coded = (coding: string, bytes: Buffer) => reply(bytes, `Content-Encoding: ${coding}\r\nETag: "e"\r\n`);

export const responses: Group = {
  title: 'Responses',
  checks: [
    {
      name: 'status and fields reach the client, Date and Server as the origin said them',
      async run(subject) {
        const date = 'Tue, 01 Jan 2030 00:00:00 GMT';
        const fields = `Date: ${date}\r\nServer: app\r\nX-A: 1\r\nContent-Type: text/x-odd\r\nETag: "e"\r\n`;
        const answer = await got(subject, reply('body', fields, '207 Multi-Status'));
        see([answer.status, answer.text], [207, 'body'], 'the answer');
        const names = ['date', 'server', 'x-a', 'content-type', 'etag'];
        const expected = [date, 'app', '1', 'text/x-odd', '"e"'];
        see(
          names.map((name) => answer.get(name) ?? null),
          expected,
          'the fields',
        );
      },
    },
    {
      name: 'a content type is not made up',
      async run(subject) {
        const answer = await got(subject, reply('body'));
        see(answer.get('content-type') ?? null, null, 'Content-Type');
      },
      cannot: {
        ...limit('@hono/node-server adds `text/plain; charset=UTF-8`', /Content-Type: "text\/plain/, 'node'),
        ...limit('it adds `application/octet-stream`', /Content-Type: "application\/octet-stream"/, 'bun'),
      },
    },
    {
      name: 'each Set-Cookie stays a line of its own',
      async run(subject) {
        const cookies = ['a=1; Expires=Tue, 01 Jan 2030 00:00:00 GMT', 'b=2; Path=/', 'c=3'];
        const answer = await got(subject, reply('x', cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join('')));
        const lines = answer.fields.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value);
        see(lines, cookies, 'Set-Cookie');
      },
    },
    {
      name: 'fields for one connection end here, and those that Connection names',
      async run(subject) {
        const fields =
          'Connection: X-Secret\r\nX-Secret: 1\r\nProxy-Authenticate: Basic\r\nUpgrade: x\r\nX-Kept: 1\r\n';
        const answer = await got(subject, reply('x', fields));
        const names = ['x-secret', 'proxy-authenticate', 'upgrade', 'x-kept'];
        see(
          names.filter((name) => answer.get(name) !== undefined),
          ['x-kept'],
          'fields that came',
        );
      },
    },
    {
      name: 'the reason phrase',
      async run(subject) {
        const answer = await got(subject, reply('x', '', '299 Rather Fine'));
        see(answer.line, 'HTTP/1.1 299 Rather Fine', 'the status line');
      },
      cannot: limit('the server writes its own', /status line: "HTTP\/1.1 299 (?:unknown|HM)?"/, 'node', 'bun', 'deno'),
    },
    {
      name: 'HEAD has the length of what it leaves out, and no body',
      async run(subject) {
        const origin = await startOrigin(() => 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: "e"\r\n\r\n');
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(requestText('/', { method: 'HEAD' }));
        const answer = await client.response({ head: true });
        see([answer.status, answer.get('etag')], [200, '"e"'], 'the answer');
        see(origin.requests[0].line, 'HEAD / HTTP/1.1', 'the method at the origin');
        see(client.text, '', 'bytes behind the head');
        see(answer.get('content-length') ?? null, '1234', 'Content-Length');
      },
    },
    {
      name: '204 and 304 without a body, the connection goes on',
      async run(subject) {
        const origin = await startOrigin(({ line }) =>
          line.includes('/none')
            ? 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'
            : 'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\nX-A: 1\r\n\r\n',
        );
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port);
        for (const [path, status] of [
          ['/none', 204],
          ['/same', 304],
          ['/none', 204],
        ] as const) {
          client.send(requestText(path));
          const answer = await client.response();
          see([answer.status, answer.get('x-a'), answer.text], [status, '1', ''], path);
        }
      },
    },
    {
      name: 'redirects are passed on, none is followed',
      async run(subject) {
        const statuses = [300, 301, 302, 303, 307, 308];
        const origin = await startOrigin(({ line }) => {
          const status = line.split('/')[1].slice(0, 3);
          return reply('moved', `Location: /next?from=${status}\r\n`, `${status} Moved`);
        });
        await subject.use({ id: 'app.test', target: origin.target });
        for (const status of statuses) {
          const answer = await ask(subject, `/${status}`, status === 307 ? { method: 'POST', body: 'b' } : {});
          see(
            [answer.status, answer.get('location'), answer.text],
            [status, `/next?from=${status}`, 'moved'],
            'answer',
          );
        }
        see(origin.requests.length, statuses.length, 'requests at the origin');
      },
    },
    {
      name: 'a body in gzip stays as the origin made it',
      async run(subject) {
        const bytes = gzipSync(plain);
        const answer = await got(subject, coded('gzip', bytes), { fields: 'Accept-Encoding: gzip\r\n' });
        see(answer.get('content-encoding') ?? null, 'gzip', 'Content-Encoding');
        hold(answer.body.equals(bytes), 'other bytes than those of the origin');
      },
    },
    {
      name: 'a body in Brotli stays as the origin made it',
      async run(subject) {
        const bytes = brotliCompressSync(plain);
        const answer = await got(subject, coded('br', bytes), { fields: 'Accept-Encoding: br\r\n' });
        see(answer.get('content-encoding') ?? null, 'br', 'Content-Encoding');
        hold(answer.body.equals(bytes), 'other bytes than those of the origin');
      },
    },
    {
      name: 'a body in a coding that nobody knows stays as the origin made it',
      async run(subject) {
        const answer = await got(subject, coded('odd', Buffer.from('zzz')), { fields: 'Accept-Encoding: odd\r\n' });
        see([answer.get('content-encoding') ?? null, answer.text], ['odd', 'zzz'], 'the answer');
      },
    },
    {
      name: 'what a body says of its coding and length is true',
      async run(subject) {
        const bytes = gzipSync(plain);
        const answer = await got(subject, coded('gzip', bytes), { fields: 'Accept-Encoding: gzip\r\n' });
        const coding = answer.get('content-encoding') ?? 'identity';
        const text = coding === 'gzip' ? gunzipSync(answer.body).toString() : answer.text;
        see(text, plain, `the body as ${coding}`);
        const length = answer.get('content-length');
        hold(length === undefined || Number(length) === answer.body.length, `Content-Length ${length}`);
      },
    },
    {
      name: 'interim responses (103) reach the client',
      async run(subject) {
        const answer = await got(subject, `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${reply('x')}`);
        see([answer.status, answer.get('link')], [103, '</a.css>'], 'the first answer');
      },
      cannot: limit('a Response is one answer', /first answer: \[200,/, ...embeddings),
    },
    {
      name: 'trailers reach the client',
      async run(subject) {
        const body = '1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n';
        const answer = await got(
          subject,
          `HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
          { fields: 'TE: trailers\r\n' },
        );
        see(answer.text, 'x', 'the body');
        see(answer.trailers, ['X-Sum: 7'], 'the trailers');
      },
      cannot: limit('a Response has none', /the trailers: \[\]/, ...embeddings),
    },
    {
      name: 'many clients at once, each gets its own answer',
      async run(subject) {
        const origin = await startOrigin(({ line, text }) => reply(`${line.split(' ')[1]} ${text}`));
        await subject.use({ id: 'app.test', target: [origin.target, `${origin.target}/b`] });
        const asked = Array.from({ length: 60 }, async (_, i) => {
          const { text } = await ask(subject, `/${i}`, { method: 'POST', body: `body ${i}` });
          see(text.replace(/^\/b/, ''), `/${i} body ${i}`, 'the answer');
        });
        await Promise.all(asked);
      },
    },
    {
      name: 'many requests on one connection',
      async run(subject) {
        const origin = await startOrigin(({ line, text }) => reply(`${line.split(' ')[1]} ${text}`));
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port);
        for (let i = 0; i < 20; i++) {
          client.send(requestText(`/${i}`, i % 2 === 0 ? {} : { method: 'POST', body: `b${i}` }));
          see((await client.response()).text, `/${i} ${i % 2 === 0 ? '' : `b${i}`}`, 'the answer');
        }
        hold(origin.connections.length < 20, 'a connection to the origin for each request');
      },
    },
  ],
};
