import { connect } from '../../helpers/client.ts';
import { type OriginConnection, startOrigin } from '../../helpers/origin.ts';
import { until } from '../../helpers/wait.ts';
import { type Group, hold, limit, requestText } from '../check.ts';
import { httpOrigin } from '../http.ts';
import type { CheckRoute, Subject } from '../runtime.ts';

const shortMs = 3_000;

/** An answer that breaks off behind `bytes`. */
const cutAfter = (bytes: string) => startOrigin((_, { socket }) => void socket.end(bytes));

export const aborts: Group = {
  title: 'Aborts',
  checks: [
    {
      name: 'a client that leaves before the answer: the target sees it',
      async run(subject) {
        const origin = await startOrigin({ request: () => {} });
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(requestText('/'));
        await origin.got(1);
        client.close();
        await until(() => origin.connections[0].ended !== '', 'the end of the connection at the target', shortMs);
      },
      cannot: limit(
        'it looks for its client only when it has something to say',
        /the end of the connection at the target: not/,
        'workerd',
      ),
    },
    {
      name: 'a client that leaves inside of the answer: the target sees it',
      async run(subject) {
        const timers = new Set<NodeJS.Timeout>();
        const send = (connection: OriginConnection) => {
          connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
          timers.add(setInterval(() => connection.send('4\r\npart\r\n'), 20));
        };
        const origin = await startOrigin((_, connection) => send(connection));
        try {
          await subject.use({ id: 'app.test', target: origin.target });
          const client = connect(subject.port).send(requestText('/'));
          await client.has('part');
          client.close();
          await until(() => origin.connections[0].ended !== '', 'the end of the connection at the target', shortMs);
        } finally {
          for (const timer of timers) clearInterval(timer);
        }
      },
    },
    {
      name: 'a client that leaves inside of its request: the target sees a cut, not an end',
      run: (subject) => seeCutRequest(subject, {}),
    },
    {
      name: 'the same where the route counts, copies or handles the body',
      async run(subject) {
        await seeCutRequest(subject, { maxBodyBytes: 1_000 });
        const copies = await httpOrigin((request, response) => void request.resume().on('end', () => response.end()));
        await seeCutRequest(subject, { mirror: { target: copies.target } });
        await seeCutRequest(subject, { handler: 'through' });
      },
    },
    {
      name: 'an origin that cuts a body of known length: the client sees a cut, not an end',
      async run(subject) {
        const origin = await cutAfter('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart');
        await subject.use({ id: 'app.test', target: origin.target });
        await seeCut(subject.port);
      },
    },
    {
      name: 'an origin that cuts a chunked body: the client sees a cut, not an end',
      async run(subject) {
        const origin = await cutAfter('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
        await subject.use({ id: 'app.test', target: origin.target });
        await seeCut(subject.port);
      },
    },
  ],
};

/** A client that leaves inside of its body: its target sees that. */
async function seeCutRequest(subject: Subject, route: Partial<CheckRoute>): Promise<void> {
  const what = Object.keys(route).join() || 'plain';
  let end: 'cut' | 'whole' | undefined;
  let bytes = 0;
  const origin = await httpOrigin((request) => {
    request.on('data', (chunk) => (bytes += chunk.length)).on('error', () => {});
    request.on('close', () => (end = request.complete ? 'whole' : 'cut'));
  });
  await subject.use({ id: 'app.test', target: origin.target, ...route });
  const client = connect(subject.port);
  client.send(`${requestText('/', { method: 'POST', fields: 'Transfer-Encoding: chunked\r\n' })}4\r\npart\r\n`);
  await until(() => bytes === 4, `the first part at the target (${what})`, shortMs);
  client.close();
  await until(() => end !== undefined, `the end of the request at the target (${what})`, shortMs);
  hold(end === 'cut', `the target takes it for whole (${what})`);
}

/** A client gets no whole message: its connection ends inside of it, or the answer is a failure. */
async function seeCut(port: number): Promise<void> {
  const client = connect(port).send(requestText('/'));
  const answer = await client.response({ ms: shortMs }).catch((error: Error) => error);
  if (answer instanceof Error) hold(client.ended !== '', `the client still waits: ${answer.message}`);
  else hold(answer.status >= 500, `the client takes it for whole: ${answer.status} ${answer.text}`);
}
