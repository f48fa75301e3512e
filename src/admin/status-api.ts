import type { Hono } from 'hono';
import { wrongMethod } from './reply.ts';
import type { ReadLive } from './status.ts';

/** GET `/v1/live`: a `Live`; with `?all=true` also every route and service that has had no request. */
export function addLiveCalls(app: Hono, live: ReadLive): void {
  app.get('/v1/live', async (c) => {
    c.header('Cache-Control', 'no-store');
    return c.json(await live(c.req.query('all') === 'true'));
  });
  app.all('/v1/live', (c) => wrongMethod(c, 'GET, HEAD'));
}
