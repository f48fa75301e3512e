import { reply, startOrigin } from '../../helpers/origin.ts';
import { freePort } from '../../journey/oo.ts';
import { ask, codeOf, type Group, hold, see } from '../check.ts';
import type { CheckRoute, Subject } from '../runtime.ts';

async function fails(subject: Subject, target: string, route: Partial<CheckRoute> = {}): Promise<[number, string]> {
  await subject.use({ id: 'app.test', target, ...route });
  const answer = await ask(subject, '/');
  hold(!answer.text.includes('127.0.0.1'), `the answer names the target: ${answer.text}`);
  return [answer.status, codeOf(answer)];
}

export const failing: Group = {
  title: 'Failures',
  checks: [
    {
      name: 'nobody listens: 502 OO_CONNECT_FAILED',
      async run(subject) {
        see(await fails(subject, `http://127.0.0.1:${await freePort()}`), [502, 'OO_CONNECT_FAILED'], 'the answer');
      },
    },
    {
      name: 'a name that nobody has: 502 OO_CONNECT_FAILED',
      async run(subject) {
        see(await fails(subject, 'http://nobody.invalid:80'), [502, 'OO_CONNECT_FAILED'], 'the answer');
      },
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
    },
    {
      name: 'failures are JSON or a page, as the client takes them; with the request id',
      async run(subject) {
        await subject.use({ id: 'app.test', target: `http://127.0.0.1:${await freePort()}` });
        const json = await ask(subject, '/', { fields: 'Accept: application/json\r\n' });
        const { code, status, requestId } = JSON.parse(json.text);
        see([code, status], ['OO_CONNECT_FAILED', 502], 'JSON');
        see(json.get('x-request-id'), requestId, 'X-Request-Id');
        const page = await ask(subject, '/', { fields: 'Accept: text/html\r\n' });
        see([page.get('content-type'), codeOf(page)], ['text/html; charset=utf-8', 'OO_CONNECT_FAILED'], 'the page');
      },
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
