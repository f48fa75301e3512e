import { once } from 'node:events';
import { gunzipSync, gzipSync } from 'node:zlib';
import { WebSocket, WebSocketServer } from 'ws';
import { closeLater } from '../../helpers/cleanup.ts';
import { connect } from '../../helpers/client.ts';
import { startOrigin } from '../../helpers/origin.ts';
import { until, within } from '../../helpers/wait.ts';
import { ask, type Group, limit, requestText, see } from '../check.ts';
import type { Subject } from '../runtime.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

/** What the origin gets of a request that the client sends as bytes. */
async function received(subject: Subject, request: string) {
  const origin = await startOrigin({ request: () => ok });
  await subject.use({ id: 'app.test', target: origin.target }, { id: 'other.test', target: `${origin.target}/other` });
  const client = connect(subject.port).send(request);
  await client.response();
  client.close();
  return origin.connections[0].requests[0];
}

/** What the client gets of an answer that the origin gives as bytes. */
async function answered(subject: Subject, answer: string, method = 'GET') {
  const origin = await startOrigin({ request: () => answer });
  await subject.use({ id: 'app.test', target: origin.target });
  return ask(subject, '/', { method });
}

async function webSocket(subject: Subject, refusal = '') {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  const ends: string[] = [];
  const pings: string[] = [];
  const hosts: (string | undefined)[] = [];
  server.on('connection', (socket, { headers }) => {
    hosts.push(headers.host);
    socket.on('error', () => {});
    socket.on('ping', (data) => pings.push(String(data)));
    socket.on('message', (data) => (String(data) === 'cut' ? socket.terminate() : socket.close(Number(data), 'why')));
    socket.on('close', (code, reason) => ends.push(`${code} ${reason}`));
  });
  closeLater({ close: () => server.close() });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await subject.use({ id: 'app.test', target: refusal === '' ? `http://127.0.0.1:${port}` : refusal });
  const socket = new WebSocket(`ws://127.0.0.1:${subject.port}/`, { headers: { host: 'app.test' } });
  closeLater({ close: () => socket.terminate() });
  socket.on('error', () => {});
  return { socket, ends, pings, hosts };
}

/** The small print: what only bytes show. */
export const wire: Group = {
  title: 'The wire',
  checks: [
    {
      name: 'a request without a body has none at the target, and says so',
      async run(subject) {
        for (const method of ['POST', 'DELETE']) {
          const { chunked, body } = await received(subject, requestText('/', { method }));
          see([chunked, body.length], [false, 0], method);
        }
      },
    },
    {
      name: 'a path that begins with `//`',
      async run(subject) {
        see((await received(subject, requestText('//a//b'))).line, 'GET //a//b HTTP/1.1', 'request line');
      },
      cannot: limit('its server takes one of the slashes off', /request line: "GET \/a\/\/b /, 'bun'),
    },
    {
      name: 'a question mark with nothing behind it',
      async run(subject) {
        see((await received(subject, requestText('/a?'))).line, 'GET /a? HTTP/1.1', 'request line');
      },
    },
    {
      name: 'a whole URL in the request line wins over Host',
      async run(subject) {
        const { line } = await received(subject, requestText('http://other.test/x'));
        see(line, 'GET /other/x HTTP/1.1', 'request line');
      },
      cannot: limit('its server goes by Host', /request line: "GET \/x /, 'bun', 'workerd'),
    },
    {
      name: 'several lines of Cookie become one, with `; `',
      async run(subject) {
        const { fields } = await received(subject, requestText('/', { fields: 'Cookie: a=1\r\nCookie: b=2\r\n' }));
        const cookies = fields.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value);
        see(cookies.join('; '), 'a=1; b=2', 'the cookies');
      },
      cannot: limit('it joins them with a comma; clients send one line', /the cookies: "a=1, b=2"/, 'workerd'),
    },
    {
      name: 'a long answer of known length keeps it',
      async run(subject) {
        const body = 'x'.repeat(3_000_000);
        const message = await answered(subject, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        see(message.body.length, body.length, 'bytes');
        see(message.get('content-length'), String(body.length), 'Content-Length');
      },
      cannot: limit('it sends every stream in chunks', /Content-Length: undefined/, 'bun'),
    },
    {
      name: 'HEAD whose length is not known names none',
      async run(subject) {
        const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
        see((await answered(subject, head, 'HEAD')).get('content-length'), undefined, 'Content-Length');
      },
      cannot: limit('its server says 0', /Content-Length: "0"/, 'bun', 'deno'),
    },
    {
      name: '304 with the length of what it leaves out',
      async run(subject) {
        const answer = 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 99\r\n\r\n';
        see((await answered(subject, answer)).get('content-length'), '99', 'Content-Length');
      },
      cannot: limit('its server leaves it out, as it may', /Content-Length: undefined/, 'deno', 'workerd'),
    },
    {
      name: 'a Trailer field is no failure',
      async run(subject) {
        const { status, text } = await answered(
          subject,
          'HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nhi',
        );
        see([status, text], [200, 'hi'], 'the answer');
      },
    },
    {
      name: 'what a handler fetches by itself comes with a coding that is true',
      async run(subject) {
        const body = gzipSync('hello '.repeat(20));
        const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`;
        const origin = await startOrigin({ request: () => Buffer.concat([Buffer.from(head), body]) });
        await subject.use({ id: 'app.test', target: origin.target, handler: 'fetches' });
        const answer = await ask(subject, '/', { fields: `X-From: ${origin.target}/\r\n` });
        const plain = answer.get('content-encoding') === 'gzip' ? gunzipSync(answer.body) : answer.body;
        see(plain.toString(), 'hello '.repeat(20), 'the body');
      },
    },
    {
      name: 'WebSocket: the client’s Host reaches the target',
      async run(subject) {
        const { socket, hosts } = await webSocket(subject);
        await within(once(socket, 'open'), 'the WebSocket');
        see(hosts, ['app.test'], 'Host');
      },
      cannot: limit('it puts the target there', /Host: \["127/, 'deno', 'workerd'),
    },
    {
      name: 'WebSocket: pings reach the target',
      async run(subject) {
        const { socket, pings } = await webSocket(subject);
        await within(once(socket, 'open'), 'the WebSocket');
        socket.ping('you');
        await within(once(socket, 'pong'), 'the pong');
        await until(() => pings.length > 0, 'the ping at the target', 1_000).catch(() => {});
        see(pings, ['you'], 'the pings');
      },
      cannot: limit('it answers them itself', /the pings: \[\]/, 'bun', 'deno'),
    },
    {
      name: 'WebSocket: codes below 3000, from the target and from the client',
      async run(subject) {
        const first = await webSocket(subject);
        await within(once(first.socket, 'open'), 'the WebSocket');
        const end = once(first.socket, 'close');
        first.socket.send('1011');
        see((await within(end, 'the end'))[0], 1011, 'the code at the client');
        const { socket, ends } = await webSocket(subject);
        await within(once(socket, 'open'), 'the WebSocket');
        socket.close(1001, 'bye');
        await until(() => ends.length > 0, 'the end at the target');
        see(ends, ['1001 bye'], 'the code at the target');
      },
      cannot: limit('to the target go 1000 and those from 3000 on; 1001 becomes 4001', /\["4001 bye"\]/, 'deno'),
    },
    {
      name: 'WebSocket: a connection that breaks is no clean end',
      async run(subject) {
        const { socket } = await webSocket(subject);
        await within(once(socket, 'open'), 'the WebSocket');
        const end = once(socket, 'close');
        socket.send('cut');
        see((await within(end, 'the end'))[0], 1006, 'the code');
      },
      cannot: limit('it can end one only in words: 4006', /the code: 4006/, 'deno'),
    },
    {
      name: 'WebSocket: a refusal keeps its fields and body',
      async run(subject) {
        const answer = 'HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno';
        const origin = await startOrigin({ request: () => answer });
        const { socket } = await webSocket(subject, origin.target);
        const [, response] = await within(once(socket, 'unexpected-response'), 'the refusal');
        response.setEncoding('latin1');
        const [body = ''] = await Promise.race([once(response, 'data'), once(response, 'end')]);
        see([response.statusCode, response.headers['x-why'], body], [403, 'no', 'no'], 'the refusal');
      },
      cannot: limit('its WebSocket tells the status alone', /the refusal: \[403,null,""\]/, 'bun', 'deno'),
    },
  ],
};
