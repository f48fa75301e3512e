import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { closeLater } from '../../helpers/cleanup.ts';
import { until, within } from '../../helpers/wait.ts';
import { type Group, hold, see } from '../check.ts';
import type { Subject } from '../runtime.ts';

const shortMs = 3_000;

/** A WebSocket server that echoes, and keeps the requests it got. */
async function echo(protocols: readonly string[] = []) {
  const handleProtocols = (offered: Set<string>) => protocols.find((name) => offered.has(name)) ?? false;
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols });
  const got: IncomingMessage[] = [];
  const closed: string[] = [];
  server.on('connection', (socket, request) => {
    got.push(request);
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      if (String(data) === 'bye') socket.close(4001, 'as you say');
      else socket.send(data, { binary: isBinary });
    });
    socket.on('close', (code, reason) => closed.push(`${code} ${reason}`));
  });
  closeLater({
    close() {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { target: `http://127.0.0.1:${port}`, got, closed };
}

async function open(subject: Subject, protocols: string[] = [], path = '/ws?a=1') {
  const headers = { host: 'app.test', cookie: 'a=1' };
  const socket = new WebSocket(`ws://127.0.0.1:${subject.port}${path}`, protocols, { headers });
  closeLater({ close: () => socket.terminate() });
  const messages: Buffer[] = [];
  socket.on('message', (data) => messages.push(data as Buffer));
  const failure = new Promise<never>((_, reject) => socket.on('error', reject));
  failure.catch(() => {});
  await within(Promise.race([once(socket, 'open'), failure]), 'the WebSocket', shortMs);
  return { socket, messages };
}

export const websockets: Group = {
  title: 'WebSocket',
  checks: [
    {
      name: 'text and binary messages both ways; path, query and cookies reach the target',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target });
        const { socket, messages } = await open(subject);
        socket.send('hello');
        await until(() => messages.length === 1, 'the echo of a text', shortMs);
        see(messages[0].toString(), 'hello', 'the echo');
        const bytes = randomBytes(100_000);
        socket.send(bytes);
        await until(() => messages.length === 2, 'the echo of bytes', shortMs);
        hold(messages[1].equals(bytes), 'other bytes came back');
        const [{ url, headers }] = origin.got;
        see([url, headers.cookie, headers['x-forwarded-host']], ['/ws?a=1', 'a=1', 'app.test'], 'the request');
      },
    },
    {
      name: 'many messages keep their order',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target });
        const { socket, messages } = await open(subject);
        for (let i = 0; i < 500; i++) socket.send(`${i}`);
        await until(() => messages.length === 500, 'all echoes', shortMs);
        hold(
          messages.every((message, i) => message.toString() === `${i}`),
          'another order',
        );
      },
    },
    {
      name: 'the subprotocol that the target chooses',
      async run(subject) {
        const origin = await echo(['b']);
        await subject.use({ id: 'app.test', target: origin.target });
        const { socket } = await open(subject, ['a', 'b']);
        see(socket.protocol, 'b', 'the subprotocol');
      },
    },
    {
      name: 'codes and reasons of a close, from the target',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target });
        const { socket } = await open(subject);
        const closed = once(socket, 'close');
        socket.send('bye');
        const [code, reason] = await within(closed, 'the close at the client', shortMs);
        see(`${code} ${reason}`, '4001 as you say', 'the close');
      },
    },
    {
      name: 'codes and reasons of a close, from the client',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target });
        const { socket } = await open(subject);
        socket.close(4002, 'going');
        await until(() => origin.closed.length === 1, 'the close at the target', shortMs);
        see(origin.closed[0], '4002 going', 'the close');
      },
    },
    {
      name: 'a client that vanishes: the target sees it',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target });
        const { socket } = await open(subject);
        socket.terminate();
        await until(() => origin.closed.length === 1, 'the close at the target', shortMs);
      },
    },
    {
      name: 'a target that refuses: the client gets its answer',
      async run(subject) {
        const server = new WebSocketServer({ host: '127.0.0.1', port: 0, verifyClient: (_, done) => done(false, 403) });
        closeLater({ close: () => server.close() });
        await once(server, 'listening');
        const { port } = server.address() as { port: number };
        await subject.use({ id: 'app.test', target: `http://127.0.0.1:${port}` });
        const error = await open(subject).then(
          () => 'open',
          (failure: Error) => failure.message,
        );
        see(error, 'Unexpected server response: 403', 'what the client sees');
      },
    },
  ],
};
