import type { Context } from 'hono';
import type { AuditQuery, AuditRow } from './audit.ts';
import type { AuditLog } from './audit-log.ts';
import { short } from './fault.ts';
import type { Api } from './operation.ts';
import { refuse } from './reply.ts';
import { auditQuery, auditsWire } from './wire/audit.ts';

/** An entry as the API shows it; `at` is RFC 3339, UTC. */
export interface AuditInfo extends Omit<AuditRow, 'at'> {
  readonly at: string;
}

/** GET `/v1/audit`: the newest first; `limit`, `after`, `actor`, `since`. */
export function addAuditCalls({ on }: Api, audit: Pick<AuditLog, 'list'>): void {
  on(
    {
      ...{ id: 'listAudit', method: 'get', path: '/v1/audit', tag: 'history', scope: 'audit:read', query: auditQuery },
      summary: 'Lists who has written what by the API, the newest first',
      answers: { 200: { description: 'A page of it.', schema: auditsWire } },
    },
    async (c) => {
      const query = queryOf(c);
      if (query instanceof Response) return query;
      // One more tells whether there is a next page.
      const rows = await audit.list({ ...query, limit: query.limit + 1 });
      const entries = rows.slice(0, query.limit).map(({ at, ...row }) => ({ ...row, at: new Date(at).toISOString() }));
      const next = rows.length > query.limit ? String(entries[entries.length - 1].id) : undefined;
      c.header('Cache-Control', 'no-store');
      return c.json({ entries, ...(next !== undefined && { next }) });
    },
  );
}

function queryOf(c: Context): AuditQuery | Response {
  const { limit = '100', after, actor, since } = c.req.query();
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > 1_000)
    return bad(c, `limit is '${short(limit)}'; expected 1 to 1000`);
  if (after !== undefined && !/^\d{1,15}$/.test(after))
    return bad(c, `after is '${short(after)}'; expected the next of an answer`);
  const from = since === undefined ? undefined : Date.parse(since);
  if (from !== undefined && Number.isNaN(from))
    return bad(c, `since is '${short(since)}'; expected a time such as 2026-11-23T00:00:00Z`);
  return { limit: Number(limit), before: after === undefined ? undefined : Number(after), actor, since: from };
}

function bad(c: Context, error: string): Response {
  return refuse(c, 400, { error: `${error}.`, code: 'OO_BAD_REQUEST', hint: 'Correct the query and send it again.' });
}
