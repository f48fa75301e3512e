import type { Context, Next } from 'hono';
import { Hono } from 'hono';
import { type Caller, type CallerEnv, type Hold, type Scope, scopes } from './access.ts';
import { createRequestLimit } from './api-limits.ts';
import { type AdminOptions, createAdminApp } from './app.ts';
import { answerError } from './error.ts';
import { short } from './fault.ts';
import { hostCheck, type OwnHosts } from './own-hosts.ts';
import { notFound, refuse } from './reply.ts';
import type { Stranger, TokenDesk } from './token-desk.ts';
import type { Token } from './tokens.ts';

/** Without `tokens` nobody is let in; without `configuration` there is nothing to let anybody in to. */
export type PublicOptions = Pick<AdminOptions, 'version'> &
  Partial<AdminOptions> & {
    /** Names that this server has, besides addresses and localhost. Default none. */
    readonly hosts?: OwnHosts;
    /** Whether an address is a proxy's in front of the service port, whose word of whom it asks for counts. Default: none is. */
    readonly isTrusted?: (address: string) => boolean;
    /** How many requests one address may make in a minute. Default `defaultRequestsPerMinute`. */
    readonly requestsPerMinute?: () => number;
  };

/** Calls that ask for a token. */
const closed = ['/proxy-svc/*', '/registry-svc/*', '/v1/*'] as const;
/** What everybody may read, of the operations whose scope is `open`. */
const open = ['/openapi.json', '/docs', '/docs/*'] as const;

/** Whoever has no token. */
const nobody: Caller = { actor: 'nobody', from: '', scopes: [] };

/**
 * What the service port (TCP 11337) shows to anybody: what this is, that it lives, and which calls there are. The calls themselves are those of the
 * admin app, for who shows a token, as far as its scopes go.
 *
 * Requests come by way of a worker, which says in X-Forwarded-For whom they are from. In their order: too many of one address (429), other sites'
 * pages in a browser (403), no valid token (401, 429), and with it a Host that is none of ours (421), then what the operation says.
 */
export function createPublicApp(options: PublicOptions): Hono {
  const { version, tokens, configuration, onError, hosts = {}, requestsPerMinute, isTrusted = () => false } = options;
  const app = new Hono();
  const admin = configuration && createAdminApp({ ...options, configuration });
  const limit = createRequestLimit(requestsPerMinute);
  const isOwn = hostCheck(hosts);
  // The only way to the admin app: without a caller in its env it would take the request for one of the unix socket.
  const pass = (c: Context, caller: Caller) =>
    admin === undefined ? notFound(c) : admin.fetch(c.req.raw, { caller } satisfies CallerEnv);
  const ownOnly = (c: Context, next: Next) =>
    isOwn(c.req.header('host')) ? next() : Promise.resolve(refuseHost(c, undefined));

  app.use(async (c, next) => {
    const seconds = limit.take(sourceOf(c, isTrusted));
    return seconds === 0 ? next() : tooMany(c, seconds);
  });
  // It says nothing that a rebound page does not know by then, and who asks it (a balancer, a container's check) has names of his own for us.
  app.get('/healthz', (c) => c.json({ ok: true }));
  app.get('/', ownOnly, (c) =>
    c.json({
      name: 'oo',
      version,
      about: 'A reverse proxy and load balancer that brings its own HTTPS.',
      docs: 'GET /docs shows the API; run `oo --help`, or read README.md.',
    }),
  );
  for (const path of open) app.get(path, ownOnly, (c) => pass(c, { ...nobody, from: sourceOf(c, isTrusted) }));
  for (const path of closed) {
    app.use(path, refuseOtherSites);
    app.all(path, async (c) => {
      const holder = await holderOf(c, tokens, sourceOf(c, isTrusted));
      if (!('why' in holder)) return pass(c, { ...callerOf(holder, sourceOf(c, isTrusted)), hold: holdOf(c, tokens) });
      if (holder.why !== 'often' && !isOwn(c.req.header('host'))) return refuseHost(c, holder);
      return turnAway(c, holder);
    });
  }
  app.notFound(notFound);
  app.onError((error, c) => answerError(c, error, '', onError));
  return app;
}

function callerOf({ id, scopes: given, slug, expiresAt }: Token, from: string): Caller {
  return { actor: `token:${id}`, from, scopes: given, expiresAt, ...(slug !== '' && { slug }) };
}

function bearerOf(c: Context): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1];
}

function holdOf(c: Context, tokens: TokenDesk | undefined): Hold | undefined {
  if (tokens === undefined) return undefined;
  const text = bearerOf(c);
  return {
    isGood: () =>
      tokens.identify(text, '').then(
        (holder) => !('why' in holder),
        () => true,
      ),
    watch: (onRemoval) => tokens.watch(onRemoval),
  };
}

async function holderOf(c: Context, tokens: TokenDesk | undefined, source: string): Promise<Token | Stranger> {
  const text = bearerOf(c);
  if (tokens === undefined) return { why: text === undefined ? 'none' : 'unknown' };
  const holder = await tokens.identify(text, source);
  if ('why' in holder) return holder;
  // Scopes that a later oo has made let their holder do nothing here.
  const known = holder.scopes.filter((scope) => (scopes as readonly Scope[]).includes(scope));
  return known.length === 0 ? { why: 'unknown' } : { ...holder, scopes: known };
}

/**
 * The last address is the one that our own edge has added; what is before it, anybody may have written, unless that one is a trusted proxy: a
 * route of an edge that leads to the service port, say.
 */
function sourceOf(c: Context, isTrusted: (address: string) => boolean): string {
  const chain = (c.req.header('x-forwarded-for') ?? '').split(',').map((address) => address.trim());
  let last = chain.length - 1;
  while (last > 0 && isTrusted(chain[last])) last -= 1;
  return chain[last];
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
  challenge(c, why);
  return refuse(c, 401, {
    error: reasons[why],
    code: why === 'none' ? 'OO_NO_TOKEN' : 'OO_BAD_TOKEN',
    hint:
      'Send `Authorization: Bearer oo_…`. The machine that runs oo makes one: oo token create --service user-svc (or --admin). ' +
      'There the oo command itself needs none: it uses the unix socket in the state directory.',
  });
}

function challenge(c: Context, why: Stranger['why']): void {
  c.header('WWW-Authenticate', why === 'none' ? 'Bearer realm="oo"' : 'Bearer realm="oo", error="invalid_token"');
}

/** 421: the request is not for this server. @param holder undefined where no token would be asked for */
function refuseHost(c: Context, holder: Stranger | undefined): Response {
  const host = short(c.req.header('host') ?? '');
  const token = holder === undefined || holder.why === 'often' ? '' : ` ${reasons[holder.why]}`;
  if (holder !== undefined) challenge(c, holder.why);
  return refuse(c, 421, {
    error: `'${host}' is none of this server's names.${token}`,
    code: 'OO_HOST_REFUSED',
    hint:
      'Send a valid token (`Authorization: Bearer oo_…`), with which any name is good, or ask by address. ' +
      'If the name is meant for this server: oo serve --api-hosts NAME.',
  });
}

function tooMany(c: Context, seconds: number): Response {
  c.header('Retry-After', String(seconds));
  return refuse(c, 429, {
    error: 'Too many requests come from this address.',
    code: 'OO_TOO_MANY_REQUESTS',
    hint: `Wait ${seconds} s. The setting apiRequestsPerMinute says how many the server takes.`,
  });
}

/** Another site's page, in a browser on this machine, must not reach the API: no answer, not even a 401, and no CORS fields. */
async function refuseOtherSites(c: Context, next: Next): Promise<Response | undefined> {
  if (isOtherSite(c)) {
    const hint = "Call it from a program, or from a page of this server's own.";
    return refuse(c, 403, { error: 'Requests of other sites are refused.', code: 'OO_CROSS_ORIGIN', hint });
  }
  await next();
  return undefined;
}

function isOtherSite(c: Context): boolean {
  const site = c.req.header('sec-fetch-site');
  const origin = c.req.header('origin');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  if (origin === undefined || origin === new URL(c.req.url).origin) return false;
  // Behind a proxy that ends TLS we see another scheme than the browser; a page can't write Sec-Fetch-Site itself.
  const host = URL.canParse(origin) ? new URL(origin).host : undefined;
  return site !== 'same-origin' || host !== c.req.header('host');
}
