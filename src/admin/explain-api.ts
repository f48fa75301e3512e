import { read, smallBodyBytes } from './body.ts';
import type { Explain } from './explain.ts';
import { explainBody, explanationWire } from './explain-wire.ts';
import type { Api } from './operation.ts';
import { refuse } from './reply.ts';

/** POST `/v1/explain`: what becomes of a request, and why. It answers 200 whatever becomes of it. */
export function addExplainCalls({ on }: Api, explain: Explain): void {
  on(
    {
      ...{ id: 'explain', method: 'post', path: '/v1/explain', tag: 'explain', scope: 'routes:read' },
      summary: 'Says what becomes of a request, and why',
      description:
        "By the data path's own decisions: listener, certificate, route and why each runner-up lost, options, fields, instances, time-outs. Nothing is sent.",
      body: explainBody,
      answers: { 200: { description: 'Whatever becomes of it: `outcome` says it.', schema: explanationWire } },
    },
    async (c) => {
      const body = await read(c, explainBody, undefined, smallBodyBytes);
      if (body instanceof Response) return body;
      const told = await explain(body);
      c.header('Cache-Control', 'no-store');
      if (!('error' in told)) return c.json(told);
      const { status, error, hint } = told;
      return refuse(c, status, { error, hint, code: status === 404 ? 'OO_NO_REVISION' : 'OO_BAD_REQUEST' });
    },
  );
}
