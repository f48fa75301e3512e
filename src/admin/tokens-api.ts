import type { Context, Hono } from 'hono';
import { read, smallBodyBytes } from './body.ts';
import { idsSchema, tokenSchema } from './registry-schema.ts';
import { refuse, wrongMethod } from './reply.ts';
import type { TokenDesk } from './token-desk.ts';
import { isSlug, type Token } from './tokens.ts';

/** A token as the API shows it; times are RFC 3339, UTC. */
export interface TokenInfo extends Omit<Token, 'createdAt' | 'expiresAt'> {
  readonly createdAt: string;
  /** Null: never. */
  readonly expiresAt: string | null;
}

/** Ten years, s: longer is a mistake in a unit. */
const longestSeconds = 10 * 366 * 86_400;

/** `/v1/tokens`: GET lists; POST (`role`, `slug`, `note`, `expiresInSeconds`) makes one: 201, the only answer with its text; DELETE (`ids`). */
export function addTokenCalls(app: Hono, desk: TokenDesk, now: () => number = Date.now): void {
  app.get('/v1/tokens', async (c) => c.json({ tokens: (await desk.list()).map(tokenInfo) }));
  app.post('/v1/tokens', async (c) => {
    const body = await read(c, tokenSchema, undefined, smallBodyBytes);
    if (body instanceof Response) return body;
    const { role, slug = '', note = '', expiresInSeconds: seconds } = body;
    if (role === 'service' && !isSlug(slug)) {
      const expected = 'expected 1 to 63 lower case letters, digits and inner hyphens';
      return bad(c, `slug '${slug.slice(0, 100).replace(/\p{C}/gu, '?')}' is not a service name; ${expected}.`);
    }
    if (role === 'admin' && slug !== '') return bad(c, "An admin's token is for all services; leave the slug out.");
    if (/[\p{C}\p{Zl}\p{Zp}]/u.test(note)) return bad(c, 'note has a control character; expected one line of text.');
    if (seconds !== undefined && !(seconds >= 1 && seconds <= longestSeconds))
      return bad(c, `expiresInSeconds is ${seconds}; expected 1 to ${longestSeconds}, or nothing for never.`);
    const expiresAt = seconds === undefined ? 0 : now() + Math.round(seconds * 1_000);
    const { token, ...created } = await desk.create({ role, slug, note, expiresAt });
    c.header('Cache-Control', 'no-store');
    return c.json({ ...tokenInfo(created), token }, 201);
  });
  app.delete('/v1/tokens', async (c) => {
    const body = await read(c, idsSchema);
    if (body instanceof Response) return body;
    const removed: string[] = [];
    const missing: string[] = [];
    for (const id of new Set(body.ids)) ((await desk.remove(id)) ? removed : missing).push(id);
    return c.json({ removed, missing });
  });
  app.all('/v1/tokens', (c) => wrongMethod(c, 'GET, HEAD, POST, DELETE'));
}

function bad(c: Context, error: string): Response {
  return refuse(c, 400, { error, code: 'OO_BAD_REQUEST', hint: 'Nothing was made. Correct it and send it again.' });
}

function tokenInfo({ createdAt, expiresAt, ...token }: Token): TokenInfo {
  const rfc3339 = (ms: number) => new Date(ms).toISOString();
  return { ...token, createdAt: rfc3339(createdAt), expiresAt: expiresAt === 0 ? null : rfc3339(expiresAt) };
}
