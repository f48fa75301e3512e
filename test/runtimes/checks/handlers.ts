import { reply, startOrigin } from '../../helpers/origin.ts';
import { ask, codeOf, type Group, see } from '../check.ts';

const echo = () =>
  startOrigin(({ line, text, get }) => reply(`${line.split(' ')[0]} ${text} ${get('x-user') ?? 'nobody'}`));

export const handlers: Group = {
  title: 'Handlers',
  checks: [
    {
      name: 'one that answers by itself, knows its route and the request id',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target, handler: 'answer' });
        const answer = await ask(subject, '/a', { method: 'POST', body: 'x' });
        see([answer.status, answer.text], [203, 'POST /a by app.test, true'], 'the answer');
        see(answer.get('x-by'), 'handler', 'its field');
        see(origin.requests.length, 0, 'requests at the target');
      },
    },
    {
      name: 'one around forwarding: it refuses, changes the request, and changes the response',
      async run(subject) {
        const origin = await echo();
        await subject.use({ id: 'app.test', target: origin.target, handler: 'around' });
        const refused = await ask(subject, '/');
        see([refused.status, refused.text], [401, 'no key\n'], 'without a key');
        const fields = 'X-Key: secret\r\n';
        const answer = await ask(subject, '/', { method: 'POST', fields, body: 'body' });
        see([answer.status, answer.text], [200, 'POST body ann'], 'with it');
        see(answer.get('x-checked'), 'yes', 'its field');
        see(origin.requests.length, 1, 'requests at the target');
      },
    },
    {
      name: 'one that changes the body as it streams',
      async run(subject) {
        const origin = await startOrigin(() => reply('lower case'));
        await subject.use({ id: 'app.test', target: origin.target, handler: 'upper' });
        see((await ask(subject, '/')).text, 'LOWER CASE', 'the body');
      },
    },
    {
      name: 'one that throws: 502 OO_HANDLER_FAILED, on its own route only',
      async run(subject) {
        const origin = await echo();
        await subject.use(
          { id: 'app.test', target: origin.target },
          { id: 'app.test/bad', target: origin.target, handler: 'throws' },
        );
        const answer = await ask(subject, '/bad');
        see([answer.status, codeOf(answer)], [502, 'OO_HANDLER_FAILED'], 'the answer');
        see((await ask(subject, '/')).status, 200, 'the other route');
      },
    },
    {
      name: 'one that hangs: 504 OO_HANDLER_TIMEOUT, on its own route only',
      async run(subject) {
        const origin = await echo();
        await subject.use(
          { id: 'app.test', target: origin.target },
          { id: 'app.test/slow', target: origin.target, handler: { file: 'hangs', timeoutMs: 300 } },
        );
        const [answer, other] = await Promise.all([ask(subject, '/slow'), ask(subject, '/')]);
        see([answer.status, codeOf(answer)], [504, 'OO_HANDLER_TIMEOUT'], 'the answer');
        see(other.status, 200, 'the other route');
      },
    },
    {
      name: "a target that fails is the target's failure, also behind a handler",
      async run(subject) {
        const origin = await startOrigin((_, { socket }) => void socket.end());
        await subject.use({ id: 'app.test', target: origin.target, handler: 'around' });
        const answer = await ask(subject, '/', { fields: 'X-Key: secret\r\n' });
        see([answer.status, codeOf(answer)], [502, 'OO_UPSTREAM_CLOSED'], 'the answer');
        see(answer.get('x-checked'), 'yes', "the handler's field");
      },
    },
  ],
};
