import type { Context, Next } from 'hono';
import { Hono } from 'hono';
import type { Registry } from '../services/registry-types.ts';
import { type AdminOptions, createAdminApp } from './app.ts';
import { answerError } from './error.ts';
import { addInstanceCalls } from './instances-api.ts';
import { notFound, refuse } from './reply.ts';
import type { Stranger, TokenDesk } from './token-desk.ts';
import type { Token } from './tokens.ts';

/** Without `tokens` nobody is let in; without `configuration` there is nothing to let anybody in to. */
export type PublicOptions = Pick<AdminOptions, 'version'> & Partial<AdminOptions>;

/**
 * What the service port (TCP 11337) shows to anybody: what this is, and that it lives. Its API (`/proxy-svc/…`, `/registry-svc/…`, `/v1/…`)
 * asks for a token: an admin's opens the admin API, a service's what `addInstanceCalls` has, for its own instances.
 *
 * Requests come by way of a worker, which says in X-Forwarded-For whom they are from.
 */
export function createPublicApp(options: PublicOptions): Hono {
  const { version, registry, tokens, configuration, onError } = options;
  const app = new Hono();
  const admin = configuration && createAdminApp({ ...options, configuration });
  const service = registry && createServiceApp(registry, onError);
  app.get('/', (c) =>
    c.json({
      name: 'oo',
      version,
      about: 'A reverse proxy and load balancer that brings its own HTTPS.',
      docs: 'Run `oo --help`, or read README.md.',
    }),
  );
  app.get('/healthz', (c) => c.json({ ok: true }));
  for (const path of ['/proxy-svc/*', '/registry-svc/*', '/v1/*']) {
    app.use(path, refuseOtherSites);
    app.all(path, async (c) => {
      const holder = await holderOf(c, tokens);
      if ('why' in holder) return turnAway(c, holder);
      if (holder.role === 'admin') return admin ? admin.fetch(c.req.raw, { actor: `token:${holder.id}` }) : notFound(c);
      // A role that a later oo has made lets its holder do nothing here.
      if (holder.role !== 'service' || holder.slug === '') return turnAway(c, { why: 'unknown' });
      return service ? service.fetch(c.req.raw, { slug: holder.slug }) : notFound(c);
    });
  }
  app.notFound(notFound);
  app.onError((error, c) => answerError(c, error, '', onError));
  return app;
}

/** What a service's token opens. */
function createServiceApp(registry: Registry, onError: AdminOptions['onError']): Hono {
  const app = new Hono();
  addInstanceCalls(app, { registry, slugOf: (c) => c.env.slug });
  app.notFound((c) =>
    refuse(c, 403, {
      error: `A token of the service ${(c.env as { slug: string }).slug} is not for ${c.req.method} ${c.req.path}.`,
      code: 'OO_FORBIDDEN',
      hint: "It registers that service's instances and lists instances and nodes. For the rest: oo token create --admin",
    }),
  );
  app.onError((error, c) => answerError(c, error, '', onError));
  return app;
}

async function holderOf(c: Context, tokens: TokenDesk | undefined): Promise<Token | Stranger> {
  const text = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (tokens === undefined) return { why: text === undefined ? 'none' : 'unknown' };
  return tokens.identify(text, sourceOf(c));
}

/** The last address is the one that our own edge has added; what is before it, anybody may have written. */
function sourceOf(c: Context): string {
  return c.req.header('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
}

const reasons = {
  none: 'This call needs a token.',
  unknown: 'There is no such token.',
  expired: 'This token has expired.',
} as const;

function turnAway(c: Context, { why }: Stranger): Response {
  if (why === 'often') {
    c.header('Retry-After', '1');
    const hint = 'Wait a moment, then send the right one; oo token ls shows which there are.';
    return refuse(c, 429, { error: 'Too many wrong tokens come from this address.', code: 'OO_TOO_MANY_TRIES', hint });
  }
  c.header('WWW-Authenticate', why === 'none' ? 'Bearer realm="oo"' : 'Bearer realm="oo", error="invalid_token"');
  return refuse(c, 401, {
    error: reasons[why],
    code: why === 'none' ? 'OO_NO_TOKEN' : 'OO_BAD_TOKEN',
    hint:
      'Send `Authorization: Bearer oo_…`. The machine that runs oo makes one: oo token create --service user-svc (or --admin). ' +
      'There the oo command itself needs none: it uses the unix socket in the state directory.',
  });
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
