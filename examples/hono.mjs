// A Hono app of yours on Node that answers what it knows, and leads all else to what was there before.
// Try it: npm i @oo/proxy hono @hono/node-server && LEGACY=http://127.0.0.1:3000 node hono.mjs
import { serve } from '@hono/node-server';
import { createProxy } from '@oo/proxy';
import { Hono } from 'hono';

const legacy = createProxy({ routes: [{ id: '*', target: process.env.LEGACY ?? 'http://127.0.0.1:3000' }] });

const app = new Hono();
app.get('/new', (context) => context.text('answered here\n'));
app.get('/stats', (context) => context.json(legacy.stats()));
app.route('/', legacy.app);

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8000), hostname: '127.0.0.1' }, ({ port }) =>
  console.log(`listening on http://127.0.0.1:${port}`),
);
