import type { Context, Next } from 'hono';
import { Hono } from 'hono';
import { notFound, refuse } from './reply.ts';

/**
 * What the service port (TCP 11337) shows to anybody: what this is, and that it lives. The route API answers 401 there,
 * as no tokens exist: it is served on the unix socket.
 */
export function createPublicApp({ version }: { readonly version: string }): Hono {
  const app = new Hono();
  app.get('/', (c) =>
    c.json({
      name: 'oo',
      version,
      about: 'A reverse proxy and load balancer that brings its own HTTPS.',
      docs: 'Run `oo --help`, or read README.md.',
    }),
  );
  app.get('/healthz', (c) => c.json({ ok: true }));
  for (const path of ['/proxy-svc/*', '/v1/*']) {
    app.use(path, refuseOtherSites);
    app.all(path, (c) => {
      c.header('WWW-Authenticate', 'Bearer');
      return refuse(c, 401, {
        error: 'The admin API on this port needs a token, and there are none yet.',
        code: 'OO_NO_TOKEN',
        hint: 'Use the oo command on this machine: it talks through the unix socket in the state directory.',
      });
    });
  }
  app.notFound(notFound);
  return app;
}

/** Another site's page, in a browser on this machine, must not reach the API: no answer, not even a 401, and no CORS fields. */
async function refuseOtherSites(c: Context, next: Next): Promise<Response | undefined> {
  const site = c.req.header('sec-fetch-site');
  const origin = c.req.header('origin');
  const foreign = site !== undefined && site !== 'same-origin' && site !== 'none';
  if (foreign || (origin !== undefined && origin !== new URL(c.req.url).origin)) {
    const hint = "Call it from a program, or from a page of this server's own.";
    return refuse(c, 403, { error: 'Requests of other sites are refused.', code: 'OO_CROSS_ORIGIN', hint });
  }
  await next();
  return undefined;
}
