import type { Api } from './operation.ts';
import type { ReadLive } from './status.ts';
import { liveQuery, liveWire } from './wire/status.ts';

/** GET `/v1/live`: a `Live`; with `?all=true` also every route and service that has had no request. */
export function addLiveCalls({ on }: Api, live: ReadLive): void {
  on(
    {
      ...{ id: 'getLive', method: 'get', path: '/v1/live', tag: 'status', scope: 'status:read', query: liveQuery },
      summary: 'What routes, services and instances do right now',
      description: 'Counters are those of all workers, since each of them began: who wants rates asks twice.',
      answers: { 200: { description: 'All figures at one time.', schema: liveWire } },
    },
    async (c) => {
      c.header('Cache-Control', 'no-store');
      return c.json(await live(c.req.query('all') === 'true'));
    },
  );
}
