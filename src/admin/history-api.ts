import { tag } from './change.ts';
import type { Configuration } from './configuration.ts';
import type { Api } from './operation.ts';
import { limitOf, noRevision, revisionOf } from './page.ts';
import { refuse } from './reply.ts';
import { diffQuery, diffWire, historyQuery, historyWire, revisionWire } from './wire/history.ts';

const defaultLimit = 100;

/** What has changed: GET `/v1/history` (`?limit=&before=`), GET `/v1/history/REVISION`, GET `/v1/diff?from=&to=`. */
export function addHistoryCalls({ on }: Api, configuration: Configuration): void {
  const { history } = configuration;
  const scope = 'history:read';
  on(
    {
      ...{ id: 'listHistory', method: 'get', path: '/v1/history', tag: 'history', scope, query: historyQuery },
      summary: 'Lists revisions: who changed how much, when and why',
      answers: { 200: { description: 'The newest first.', schema: historyWire } },
    },
    async (c) => {
      const limit = limitOf(c) ?? defaultLimit;
      if (limit instanceof Response) return limit;
      const before = revisionOf(c, 'before');
      if (before instanceof Response) return before;
      tag(c, configuration);
      const revisions = await history.list(limit, before);
      const last = revisions.at(-1)?.revision ?? 1;
      const more = revisions.length === limit && last > 1 && (await history.list(1, last)).length > 0;
      return c.json({ revisions, ...(more && { next: String(last) }) });
    },
  );
  on(
    {
      ...{ id: 'getRevision', method: 'get', path: '/v1/history/{revision}', tag: 'history', scope },
      summary: 'What a revision changed',
      params: { revision: 'Its number.' },
      answers: {
        200: { description: 'Each thing, as it was and as it became.', schema: revisionWire },
        404: { description: 'It is not kept, or yet to come.' },
      },
    },
    async (c) => {
      const number = /^@?(\d{1,15})$/.exec(c.req.param('revision') as string)?.[1];
      if (number === undefined) {
        const hint = 'GET /v1/history lists them.';
        return refuse(c, 400, { error: 'This is no revision; expected a number.', code: 'OO_BAD_REQUEST', hint });
      }
      tag(c, configuration);
      const found = await history.revision(Number(number));
      return found === undefined ? noRevision(c, Number(number)) : c.json(found);
    },
  );
  on(
    {
      ...{ id: 'diff', method: 'get', path: '/v1/diff', tag: 'history', scope, query: diffQuery },
      summary: 'What leads from one revision to another, forwards or back',
      answers: {
        200: { description: 'Each thing that differs.', schema: diffWire },
        404: { description: 'One of them is not kept.' },
      },
    },
    async (c) => {
      const from = revisionOf(c, 'from');
      const to = revisionOf(c, 'to') ?? configuration.table.revision;
      if (from instanceof Response) return from;
      if (to instanceof Response) return to;
      if (from === undefined) {
        const hint = 'Send such as ?from=5&to=9; without to it is now.';
        return refuse(c, 400, { error: 'from is missing; expected a revision.', code: 'OO_BAD_REQUEST', hint });
      }
      tag(c, configuration);
      const resources = await history.between(from, to);
      if (resources !== undefined) return c.json({ from, to, resources });
      const isFrom = (await history.at(from)) === undefined;
      return noRevision(c, isFrom ? from : to);
    },
  );
}
