import { connect } from '../../helpers/client.ts';
import { type OriginConnection, reply, startOrigin } from '../../helpers/origin.ts';
import { sleep } from '../../helpers/wait.ts';
import { ask, codeOf, type Group, hold, requestText, see } from '../check.ts';

const named = (name: string) => startOrigin(() => reply(name));

export const changes: Group = {
  title: 'Changes while it runs',
  checks: [
    {
      name: 'routes change at once, for the next request on the same connection too',
      async run(subject) {
        const [a, b] = await Promise.all([named('a'), named('b')]);
        const client = connect(subject.port);
        for (const [target, text] of [
          [a.target, 'a'],
          [b.target, 'b'],
          [a.target, 'a'],
        ]) {
          await subject.use({ id: 'app.test', target });
          see((await client.send(requestText('/')).response()).text, text, 'the answer');
        }
        await subject.use();
        see(codeOf(await client.send(requestText('/')).response()), 'OO_NO_ROUTE', 'without a route');
      },
    },
    {
      name: 'a response under way goes on, though its route is gone',
      async run(subject) {
        let connection: OriginConnection | undefined;
        const origin = await startOrigin((_, on) => {
          connection = on;
          return 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst';
        });
        await subject.use({ id: 'app.test', target: origin.target });
        const client = connect(subject.port).send(requestText('/'));
        await client.has('first');
        await subject.use();
        connection!.send('last');
        see((await client.response()).text, 'firstlast', 'the body');
      },
    },
    {
      name: 'no request fails while routes change',
      async run(subject) {
        const [a, b] = await Promise.all([named('a'), named('b')]);
        await subject.use({ id: 'app.test', target: a.target });
        let over = false;
        const texts = new Set<string>();
        const client = async () => {
          while (!over) {
            const { status, text } = await ask(subject, '/');
            texts.add(`${status} ${text}`);
          }
        };
        const clients = Promise.all([client(), client(), client()]);
        clients.catch(() => {});
        for (let i = 0; i < 10; i++) {
          await sleep(10);
          await subject.use({ id: 'app.test', target: i % 2 === 0 ? b.target : a.target });
        }
        over = true;
        await clients;
        see([...texts].sort(), ['200 a', '200 b'], 'answers');
      },
    },
    {
      name: 'routes that are refused change nothing, and each fault is named',
      async run(subject) {
        const origin = await named('a');
        await subject.use({ id: 'app.test', target: origin.target });
        const said = await subject.refusal(
          { id: 'app.test', target: 'ftp://x' },
          { id: 'b.test', target: 'http://b.test:0' },
        );
        hold(/ftp/.test(said) && /b\.test/.test(said), `it said: ${said}`);
        see((await ask(subject, '/')).text, 'a', 'the answer');
      },
    },
  ],
};
