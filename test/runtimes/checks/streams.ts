import { connect } from '../../helpers/client.ts';
import { type OriginConnection, reply, startOrigin } from '../../helpers/origin.ts';
import { until } from '../../helpers/wait.ts';
import { type Group, hold, requestText, see } from '../check.ts';

const shortMs = 2_000;
const chunkedPost = requestText('/', { method: 'POST', fields: 'Transfer-Encoding: chunked\r\n' });

export const streams: Group = {
  title: 'Streams',
  checks: [
    {
      name: "a response's first part is there before its last is sent",
      async run(subject) {
        let connection: OriginConnection | undefined;
        const origin = await startOrigin((_, on) => {
          connection = on;
          return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n';
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(requestText('/'));
        await client.has('first', shortMs);
        connection!.send('4\r\nlast\r\n0\r\n\r\n');
        see((await client.response()).text, 'firstlast', 'the body');
      },
    },
    {
      name: "a response's head is there before its body",
      async run(subject) {
        let connection: OriginConnection | undefined;
        const origin = await startOrigin((_, on) => {
          connection = on;
          return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Head: 1\r\n\r\n';
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(requestText('/'));
        await until(() => /x-head: 1/i.test(client.text), 'the head at the client', shortMs);
        connection!.send('0\r\n\r\n');
        see((await client.response()).text, '', 'the body');
      },
    },
    {
      name: 'server-sent events arrive one by one',
      async run(subject) {
        let connection: OriginConnection | undefined;
        const origin = await startOrigin((_, on) => {
          connection = on;
          return 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(requestText('/', { fields: 'Accept: text/event-stream\r\n' }));
        await until(() => connection !== undefined, 'the request at the origin');
        for (let i = 0; i < 5; i++) {
          const event = `data: ${i}\n\n`;
          connection!.send(`${event.length.toString(16)}\r\n${event}\r\n`);
          await client.has(`data: ${i}\n\n`, shortMs);
        }
        hold(/content-type: text\/event-stream\r\n/i.test(client.text), `no event stream: ${client.text}`);
      },
    },
    {
      name: "a request's first part is at the target before its last is sent",
      async run(subject) {
        const origin = await startOrigin(() => reply('done'));
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(`${chunkedPost}5\r\nfirst\r\n`);
        await until(() => origin.text.includes('first'), 'the first part at the target', shortMs);
        client.send('4\r\nlast\r\n0\r\n\r\n');
        see((await client.response()).text, 'done', 'the answer');
        see(origin.requests[0].text, 'firstlast', 'the body at the origin');
      },
    },
    {
      name: 'both at once: an answer that begins while the request goes on',
      async run(subject) {
        const origin = await startOrigin({
          data(connection, chunk) {
            for (const [word] of chunk.toString('latin1').matchAll(/ping\d/g)) {
              if (word === 'ping0') connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
              connection.send(`5\r\n${word.replace('i', 'o')}\r\n`);
            }
          },
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(chunkedPost);
        for (let i = 0; i < 3; i++) {
          client.send(`5\r\nping${i}\r\n`);
          await client.has(`pong${i}`, shortMs);
        }
      },
    },
    {
      name: 'Expect: 100-continue: the client is told to go on',
      async run(subject) {
        const origin = await startOrigin(({ text }) => reply(text));
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port);
        client.send(requestText('/', { method: 'POST', fields: 'Expect: 100-continue\r\nContent-Length: 4\r\n' }));
        // An origin of HTTP/1.1 that knows it says so by itself.
        const watch = setInterval(() => {
          const [connection] = origin.connections;
          if (connection === undefined || !/expect: 100-continue/i.test(connection.text)) return;
          clearInterval(watch);
          connection.send('HTTP/1.1 100 Continue\r\n\r\n');
        }, 10);
        try {
          see((await client.response({ ms: shortMs })).status, 100, 'the first status');
          client.send('body');
          see((await client.response({ ms: shortMs })).text, 'body', 'the answer');
        } finally {
          clearInterval(watch);
        }
      },
    },
  ],
};
