import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeCertificate } from '../../helpers/certificate.ts';
import { closeLater } from '../../helpers/cleanup.ts';
import { connect } from '../../helpers/client.ts';
import { reply, startOrigin } from '../../helpers/origin.ts';
import { until } from '../../helpers/wait.ts';
import { freePort } from '../../journey/oo.ts';
import { ask, codeOf, type Group, hold, limit, requestText, see } from '../check.ts';
import { type CheckRoute, embeddings, type Subject } from '../runtime.ts';

async function fails(subject: Subject, target: string, route: Partial<CheckRoute> = {}): Promise<[number, string]> {
  await subject.use({ id: 'app.test', target, ...route });
  const answer = await ask(subject, '/');
  hold(!answer.text.includes('127.0.0.1'), `the answer names the target: ${answer.text}`);
  return [answer.status, codeOf(answer)];
}

// Network connection lost.
const oneWord = limit('502 OO_UPSTREAM_CLOSED: it has one word for all', /OO_UPSTREAM_CLOSED/, 'workerd');

/** Over TLS, with a certificate of its own making. */
async function secureOrigin(): Promise<string> {
  const server = createServer(makeCertificate('IP:127.0.0.1'), (_, response) => void response.end('secure'));
  server.listen(0, '127.0.0.1');
  closeLater({
    close() {
      server.close();
      server.closeAllConnections();
    },
  });
  await once(server, 'listening');
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export const failing: Group = {
  title: 'Failures',
  checks: [
    {
      name: 'nobody listens: 502 OO_CONNECT_FAILED',
      async run(subject) {
        see(await fails(subject, `http://127.0.0.1:${await freePort()}`), [502, 'OO_CONNECT_FAILED'], 'the answer');
      },
      cannot: oneWord,
    },
    {
      name: 'a name that nobody has: 502 OO_CONNECT_FAILED',
      async run(subject) {
        see(await fails(subject, 'http://nobody.invalid:80'), [502, 'OO_CONNECT_FAILED'], 'the answer');
      },
      cannot: oneWord,
    },
    {
      name: 'closed before an answer: 502 OO_UPSTREAM_CLOSED',
      async run(subject) {
        const origin = await startOrigin((_, { socket }) => void socket.end());
        see(await fails(subject, origin.target), [502, 'OO_UPSTREAM_CLOSED'], 'the answer');
      },
    },
    {
      name: 'no answer in time: 504 OO_UPSTREAM_TIMEOUT, and the target is let go',
      async run(subject) {
        const origin = await startOrigin({ request: () => {} });
        const answer = await fails(subject, origin.target, { responseTimeoutMs: 200 });
        see(answer, [504, 'OO_UPSTREAM_TIMEOUT'], 'the answer');
        await origin.got(1);
        see(origin.requests.length, 1, 'requests at the target');
      },
    },
    {
      name: 'what is no HTTP: 502',
      async run(subject) {
        const origin = await startOrigin((_, { socket }) => void socket.end('220 mail.test ESMTP\r\n\r\n'));
        see((await fails(subject, origin.target))[0], 502, 'the status');
      },
    },
    {
      name: 'what is no HTTP: its code is OO_BAD_RESPONSE',
      async run(subject) {
        const origin = await startOrigin((_, { socket }) => void socket.end('220 mail.test ESMTP\r\n\r\n'));
        see((await fails(subject, origin.target))[1], 'OO_BAD_RESPONSE', 'the code');
      },
      cannot: oneWord,
    },
    {
      name: 'failures are JSON or a page, as the client takes them; with the request id',
      async run(subject) {
        const origin = await startOrigin((_, { socket }) => void socket.end());
        await subject.use({ id: 'app.test', target: origin.target });
        const json = await ask(subject, '/', { fields: 'Accept: application/json\r\n' });
        const { code, status, requestId } = JSON.parse(json.text);
        see([code, status], ['OO_UPSTREAM_CLOSED', 502], 'JSON');
        see(json.get('x-request-id'), requestId, 'X-Request-Id');
        const page = await ask(subject, '/', { fields: 'Accept: text/html\r\n' });
        see([page.get('content-type'), codeOf(page)], ['text/html; charset=utf-8', 'OO_UPSTREAM_CLOSED'], 'the page');
      },
    },
    {
      name: 'silence inside a body is cut after `idleTimeoutMs`',
      async run(subject) {
        const origin = await startOrigin(() => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart');
        await subject.use({ id: 'app.test', target: origin.target, idleTimeoutMs: 200 });
        const client = connect(subject.port).send(requestText('/'));
        await client.has('part');
        await until(() => client.ended !== '', 'the end of the connection at the client', 2_000);
      },
      cannot: limit(
        'there is no such limit: the runtime has its own, or none',
        /the end of the connection at the client: not/,
        ...embeddings,
      ),
    },
    {
      name: 'an `https://` target whose certificate nobody has signed: 502',
      async run(subject) {
        see((await fails(subject, await secureOrigin()))[0], 502, 'the status');
      },
    },
    {
      name: '`insecureSkipVerify` takes it as it is',
      async run(subject) {
        await subject.use({ id: 'app.test', target: await secureOrigin(), insecureSkipVerify: true });
        see((await ask(subject, '/')).text, 'secure', 'the answer');
      },
      cannot: limit('no fetch takes such a certificate', /the answer: "502 Bad gateway/, ...embeddings),
    },
    {
      name: 'a failure of one request is nothing to the next',
      async run(subject) {
        let count = 0;
        const origin = await startOrigin((_, { socket }) => {
          if (count++ === 0) return void socket.end();
          return reply('fine');
        });
        await subject.use({ id: 'app.test', target: origin.target });
        see((await ask(subject, '/', { method: 'POST', body: 'x' })).status, 502, 'the first');
        see((await ask(subject, '/', { method: 'POST', body: 'x' })).text, 'fine', 'the second');
      },
    },
  ],
};
