import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { outcomeIn, places, routesIn } from './open-store.ts';

const targets = suite('db: the targets of routes');
const by = { actor: 'test' };

const routes: readonly Route[] = [
  { id: 'a', target: '[::1]:3000' },
  { id: 'b', target: 'http://[::1]:3000' },
  { id: 'c', target: ['http://10.0.0.1'] },
  { id: 'd', target: ['[::1]:3000', { url: 'http://b/"x"', weight: 3, priority: 1 }], maxBodyBytes: 5 },
  { id: 'e', target: [{ url: 'http://10.0.0.1', weight: 0 }, 'h2c://10.0.0.2'] },
  { id: 'f', target: 'service://user-svc', retry: { tries: 2 } },
  {
    id: 'g',
    target: 'http://10.0.0.1',
    balance: { policy: 'hash', by: 'header:x-user' },
    health: '/up',
    rollout: { gate: { state: 'paused' }, canary: { target: ['http://c'], percent: 5 }, previous: ['http://d'] },
  },
];

for (const [name, start] of places) {
  targets(
    `in ${name}: an address, a list and a service come back as they were, also from the log of changes`,
    async () => {
      const place = await start();
      const first = await place.open();
      assert.equal(outcomeIn(await first.configuration.commit({ base: 0, save: routes, remove: [], ...by })), {
        revision: 1,
      });
      assert.equal(routesIn(await first.configuration.load()), { revision: 1, routes });
      // The log reaches back to what it began with, so from a revision in it.
      const list: Route = { id: 'a', target: ['http://x', 'http://y'] };
      const single: Route = { id: 'c', target: '[::1]' };
      await first.configuration.commit({ base: 1, save: [list, single, routes[3], routes[6]], remove: [], ...by });
      const changes = await first.configuration.changesSince(1);
      if (changes === 'too old') return assert.unreachable('the log does not reach back');
      assert.equal(
        [...changes.save].sort((a, b) => (a.id < b.id ? -1 : 1)),
        [list, single, routes[3], routes[6]],
      );
      first.close();
      const second = await place.open();
      const loaded = (await second.configuration.load()).routes;
      assert.equal(
        loaded.map(({ id, target }) => [id, target]),
        [
          ['a', list.target],
          ['b', routes[1].target],
          ['c', '[::1]'],
          ...routes.slice(3).map(({ id, target }) => [id, target]),
        ],
      );
      second.close();
      await place.end();
    },
  );
}

targets.run();
