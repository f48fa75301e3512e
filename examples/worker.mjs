// A Worker: the same routes at the edge of somebody else's network.
// Try it: npm i @oo/proxy hono && npx wrangler dev worker.mjs --var SHOP:http://127.0.0.1:3000
import { createProxy } from '@oo/proxy';

let proxy;

export default {
  fetch(request, env, context) {
    // Bindings come with the first request; the proxy is made once, so that it remembers which targets work.
    proxy ??= createProxy({
      routes: [
        { id: '*', target: env.SHOP },
        { id: '*/who', handler: (request, _next, { requestId }) => Response.json({ url: request.url, requestId }) },
      ],
      clientIp: (request) => request.headers.get('cf-connecting-ip') ?? undefined,
    });
    return proxy.fetch(request, env, context);
  },
};
