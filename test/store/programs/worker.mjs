// A Worker whose routes are on a database server (test/store/workerd.test.ts).
import { env } from 'cloudflare:workers';
import { createProxy } from '../../../src/index.ts';
import { openStore } from '../../../src/store-web.ts';

const { DB_URL: url, DB_TOKEN: authToken } = env;
// Outside of a request: nothing is sent yet.
const store = await openStore({ url, authToken, readOnly: true });
const proxy = createProxy({ routes: [], clientIp: () => undefined });
const fresh = store.pull((routes) => proxy.update(routes), { everyMs: 100 });
const codeOf = (error) => error.code ?? error.name;

export default {
  async fetch(request, bindings, context) {
    const { pathname } = new URL(request.url);
    if (pathname === '/watch') {
      try {
        store.watch(() => {});
      } catch (error) {
        return new Response(`${error}`);
      }
    }
    if (pathname === '/file') return new Response(await openStore({ url: 'file:x.db' }).catch(codeOf));
    if (pathname === '/save') {
      const writer = await openStore({ url, authToken });
      const saved = await writer.save([{ id: 'saved.test', target: 'http://127.0.0.1:1' }], {
        reason: 'from a Worker',
      });
      return Response.json([saved, (await writer.history({ limit: 1 }))[0].reason]);
    }
    try {
      await fresh(context);
    } catch (error) {
      return new Response(codeOf(error), { status: 500 });
    }
    return proxy.fetch(request, bindings, context);
  },
};
