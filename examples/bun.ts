// A Bun server, with WebSockets and options of a route.
// Try it: bun add @oo/proxy hono && SHOP=http://127.0.0.1:3000 bun bun.ts
import { createProxy, routeOptions } from '@oo/proxy';

const proxy = createProxy({
  options: routeOptions,
  routes: [
    { id: '*', target: process.env.SHOP ?? 'http://127.0.0.1:3000' },
    { id: '*/old', redirect: { to: '/new', status: 301 } },
    { id: '*/api', target: process.env.SHOP ?? 'http://127.0.0.1:3000', stripPrefix: true, cors: true },
  ],
});

const server = Bun.serve({ port: Number(process.env.PORT ?? 8000), hostname: '127.0.0.1', fetch: proxy.fetch });
console.log(`listening on ${server.url}`);
