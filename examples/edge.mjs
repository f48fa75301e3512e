// The edge itself in a Node program: raw sockets, HTTP/2, WebSocket, health and certificates, without `oo serve`.
// Try it: npm i @oo/proxy hono && node edge.mjs
import { createEdge } from '@oo/proxy/node';

const edge = createEdge({
  routes: [{ id: '*', target: process.env.SHOP ?? 'http://127.0.0.1:3000' }],
  http: { port: Number(process.env.PORT ?? 8000), host: '127.0.0.1' },
});
const { httpPort } = await edge.listen();
console.log(`listening on http://127.0.0.1:${httpPort}`);
process.once('SIGTERM', () => edge.close());
