import * as v from 'valibot';
import { callerOf, scopes } from './access.ts';
import type { Api } from './operation.ts';

const whoamiSchema = v.object({
  actor: v.pipe(v.string(), v.description('What the log of changes says of you.')),
  from: v.pipe(v.string(), v.description('The address that you come from, or `socket`.')),
  scopes: v.array(v.picklist(scopes)),
  slug: v.pipe(v.nullable(v.string()), v.description('The one service that `instance:write` is for.')),
  expiresAt: v.pipe(v.nullable(v.string()), v.description('When the token ends, RFC 3339; null: never.')),
});

/** Who the server takes somebody for. */
export type Whoami = v.InferOutput<typeof whoamiSchema>;

/** `GET /v1/whoami`. */
export function addWhoamiCall(api: Api): void {
  api.on(
    {
      ...{ id: 'whoami', method: 'get', path: '/v1/whoami', tag: 'tokens', scope: 'any' },
      summary: 'Who you are to this server, and what you may do',
      answers: { 200: { description: 'The caller.', schema: whoamiSchema } },
    },
    (c) => {
      const { actor, from, scopes: given, slug, expiresAt } = callerOf(c);
      const ends = expiresAt === undefined || expiresAt === 0 ? null : new Date(expiresAt).toISOString();
      return c.json({ actor, from, scopes: [...given], slug: slug ?? null, expiresAt: ends });
    },
  );
}
