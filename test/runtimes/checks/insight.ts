import { reply, startOrigin } from '../../helpers/origin.ts';
import { freePort } from '../../journey/oo.ts';
import { ask, type Group, hold, see } from '../check.ts';

export const insight: Group = {
  title: 'Insight',
  checks: [
    {
      name: '`explain` says which route a request would take; nothing is sent',
      async run(subject) {
        const origin = await startOrigin(() => reply('x'));
        await subject.use({ id: 'app.test', target: origin.target }, { id: 'app.test/a', target: origin.target });
        see((await subject.explain('http://app.test/a/b')).route, 'app.test/a', 'the route');
        see((await subject.explain('http://other.test/')).route, '', 'the route of another host');
        see(origin.requests.length, 0, 'requests at the target');
      },
    },
    {
      name: 'requests and failures are counted by target',
      async run(subject) {
        const origin = await startOrigin(() => reply('x'));
        const dead = `http://127.0.0.1:${await freePort()}`;
        await subject.use({ id: 'count.test', target: [origin.target, dead], balance: { policy: 'round-robin' } });
        for (let i = 0; i < 4; i++) await ask(subject, '/', { host: 'count.test' });
        const said = await subject.stats('count.test');
        hold(said.includes(dead), `${said} has no ${dead}`);
        hold(said.includes(origin.target), `${said} has no ${origin.target}`);
      },
    },
    {
      name: 'hooks are told of responses and failures',
      async run(subject) {
        if (subject.told === undefined) throw new Error('there are no hooks');
        const origin = await startOrigin(() => reply('x'));
        const { target: dead } = await startOrigin((_, { socket }) => void socket.end());
        await subject.use({ id: 'app.test', target: origin.target }, { id: 'dead.test', target: dead });
        await subject.told();
        await ask(subject, '/');
        await ask(subject, '/', { host: 'dead.test' });
        const told = (await subject.told()).map((line) => line.replace(/:\s.*/s, '').replace(/ \d+ (?=\S*$)/, ' '));
        const expected = [
          `response app.test 200 ${origin.target}`,
          'failure dead.test OO_UPSTREAM_CLOSED',
          'response dead.test 502 ',
        ];
        see(told.sort(), expected.sort(), 'what was told');
      },
      cannot: {
        oo: { why: 'a program has no hooks: it has a log, `/v1/events` and `/v1/live`', fails: /there are no hooks/ },
      },
    },
  ],
};
