import type { Context } from 'hono';
import type * as v from 'valibot';
import { type Scope, scopes, serviceScopes } from './access.ts';
import { note as noteWrite } from './audit.ts';
import { read, smallBodyBytes } from './body.ts';
import type { Api, Operation } from './operation.ts';
import { idsSchema, tokenSchema } from './registry-schema.ts';
import { refuse } from './reply.ts';
import type { TokenDesk } from './token-desk.ts';
import { isSlug, type Token } from './tokens.ts';
import { idsBody, removed } from './wire/common.ts';
import { createdTokenWire, tokensWire } from './wire/token.ts';

/** A token as the API shows it; times are RFC 3339, UTC. */
export interface TokenInfo extends Omit<Token, 'createdAt' | 'expiresAt'> {
  readonly createdAt: string;
  /** Null: never. */
  readonly expiresAt: string | null;
}

/** Ten years, s: longer is a mistake in a unit. */
const longestSeconds = 10 * 366 * 86_400;

/** `/v1/tokens`: GET lists; POST (`scopes` or `role`, `slug`, `note`, `expiresInSeconds`) makes one: 201, the only answer with its text; DELETE (`ids`). */
export function addTokenCalls({ on }: Api, desk: TokenDesk, now: () => number = Date.now): void {
  const tag = 'tokens';
  on(
    {
      ...{ id: 'listTokens', method: 'get', path: '/v1/tokens', tag, scope: 'admin', summary: 'Lists tokens' },
      answers: { 200: { description: 'All of them; never their text.', schema: tokensWire } },
    },
    async (c) => c.json({ tokens: (await desk.list()).map(tokenInfo) }),
  );
  const making: Operation = {
    ...{ id: 'createToken', method: 'post', path: '/v1/tokens', tag, scope: 'admin', summary: 'Makes a token' },
    body: tokenSchema,
    answers: { 201: { description: 'The only answer that has its text.', schema: createdTokenWire } },
  };
  on(making, async (c) => {
    const body = await read(c, tokenSchema, undefined, smallBodyBytes);
    if (body instanceof Response) return body;
    const { slug = '', note = '', expiresInSeconds: seconds } = body;
    const scopes = scopesOf(body);
    if (typeof scopes === 'string') return bad(c, scopes);
    if (slug !== '' ? !isSlug(slug) : body.role === 'service') {
      const expected = 'expected 1 to 63 lower case letters, digits and inner hyphens';
      return bad(c, `slug '${slug.slice(0, 100).replace(/\p{C}/gu, '?')}' is not a service name; ${expected}.`);
    }
    if (slug !== '' && scopes.includes('admin'))
      return bad(c, "An admin's token is for all services; leave the slug out.");
    if (slug !== '' && !scopes.includes('instance:write'))
      return bad(c, 'A slug says which service instance:write is for; add that scope, or leave the slug out.');
    if (/[\p{C}\p{Zl}\p{Zp}]/u.test(note)) return bad(c, 'note has a control character; expected one line of text.');
    if (seconds !== undefined && !(seconds >= 1 && seconds <= longestSeconds))
      return bad(c, `expiresInSeconds is ${seconds}; expected 1 to ${longestSeconds}, or nothing for never.`);
    const expiresAt = seconds === undefined ? 0 : now() + Math.round(seconds * 1_000);
    const { token, ...created } = await desk.create({ scopes, slug, note, expiresAt });
    noteWrite(c, { ids: [created.id] });
    c.header('Cache-Control', 'no-store');
    return c.json({ ...tokenInfo(created), token }, 201);
  });
  const removing: Operation = {
    ...{ id: 'removeTokens', method: 'delete', path: '/v1/tokens', tag, scope: 'admin', summary: 'Removes tokens' },
    description: 'They work no more when this has answered.',
    body: idsBody,
    answers: { 200: { description: 'What was done.', schema: removed } },
  };
  on(removing, async (c) => {
    const body = await read(c, idsSchema);
    if (body instanceof Response) return body;
    noteWrite(c, { ids: body.ids });
    const outcome = { removed: [] as string[], missing: [] as string[] };
    for (const id of new Set(body.ids)) outcome[(await desk.remove(id)) ? 'removed' : 'missing'].push(id);
    return c.json(outcome);
  });
}

/** What is asked for, each once and in the order of `scopes`, or what is wrong with it. A role is what there was before scopes. */
function scopesOf({ role, scopes: asked }: v.InferOutput<typeof tokenSchema>): Scope[] | string {
  if ((role === undefined) === (asked === undefined)) return 'Give scopes, or a role: one of them.';
  const wanted: readonly string[] = role === 'service' ? serviceScopes : role === 'admin' ? ['admin'] : (asked ?? []);
  const unknown = wanted.find((scope) => !(scopes as readonly string[]).includes(scope));
  if (unknown !== undefined) {
    const shown = unknown.slice(0, 100).replace(/\p{C}/gu, '?');
    return `scopes has '${shown}'; expected some of ${scopes.join(', ')}.`;
  }
  if (wanted.length === 0) return 'scopes is empty: such a token lets nobody do anything; name at least one.';
  return scopes.filter((scope) => wanted.includes(scope));
}

function bad(c: Context, error: string): Response {
  return refuse(c, 400, { error, code: 'OO_BAD_REQUEST', hint: 'Nothing was made. Correct it and send it again.' });
}

function tokenInfo({ createdAt, expiresAt, ...token }: Token): TokenInfo {
  const rfc3339 = (ms: number) => new Date(ms).toISOString();
  return { ...token, createdAt: rfc3339(createdAt), expiresAt: expiresAt === 0 ? null : rfc3339(expiresAt) };
}
