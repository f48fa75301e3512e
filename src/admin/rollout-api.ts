import type { Context } from 'hono';
import * as v from 'valibot';
import { callerOf } from './access.ts';
import { note } from './audit.ts';
import { prove, read } from './body.ts';
import { follow } from './follow.ts';
import { type Api, demand, type Operation } from './operation.ts';
import { refuse } from './reply.ts';
import { type OnStep, RolloutRefusal, type RolloutRun, type Rollouts } from './rollout-types.ts';
import { asStoreFailure, type By } from './store.ts';
import { ndjson } from './wire/certificate.ts';
import { dryRunQuery, mapping } from './wire/common.ts';
import { appliedWire, rollbackToText } from './wire/history.ts';
import {
  deployWire,
  gateOutcomeWire,
  pauseWire,
  resumeWire,
  rollbackToWire,
  rollbackWire,
  stopWire,
} from './wire/rollout.ts';

// What a value must be is the deploys' to say, in more words than a schema has.
const number = v.optional(v.number());
const text = v.optional(v.string());
const texts = v.optional(v.pipe(v.array(v.string()), v.maxLength(1_000)));
const { deadlineMs, drainMs, force, name, reason } = deployWire.entries;
const common = { name, reason };
const times = { deadlineMs, drainMs, force };
const deploySchema = v.strictObject({
  ...{ ...common, ...times, targets: texts, percent: number, header: text, hosts: texts, health: text },
});
const rollbackSchema = v.strictObject({ ...common, ...times });
const pauseSchema = v.strictObject({ ...common, maxWaitMs: number, maxWaiting: number });
const resumeSchema = v.strictObject(common);
const stopSchema = v.strictObject({ ...common, message: text, forMs: stopWire.entries.forMs });

export interface RolloutApiOptions {
  /** Whether a name is a route's, not a service's: which scope it needs. Default: by its form. */
  readonly isRoute?: (name: string) => boolean;
  /** What POST `/v1/rollback` does with a `revision` in place of a `name`. */
  readonly rollbackTo?: (c: Context, body: RollbackTo) => Promise<Response>;
  readonly onError?: (error: Error) => void;
}

export type RollbackTo = v.InferOutput<typeof rollbackToWire>;

/**
 * Deploys over HTTP: bodies as `DeployRequest`, `RollbackRequest`, `PauseRequest` and `StopRequest` say, each with `reason` for the change log.
 *
 * POST `/v1/deploy` and `/v1/rollback` answer with a line of JSON for each step (`{step: RolloutStep}`) and a last one: `{outcome: RolloutOutcome}`, or
 * `error`, `code` and `hint`. Who leaves before the swap ends it, and nothing is changed.
 * POST `/v1/pause`, `/v1/resume` and `/v1/stop` answer with a `GateOutcome`.
 */
export function addRolloutCalls({ on }: Api, rollouts: Rollouts, options: RolloutApiOptions = {}): void {
  const { isRoute = (name) => /[.*/:]/.test(name), rollbackTo, onError } = options;
  const errorOf = (error: Error): object => {
    const known = error instanceof RolloutRefusal ? error : asStoreFailure(error);
    if (known) return { error: known.message, code: known.code, hint: known.hint };
    onError?.(error);
    return { error: 'It failed.', code: 'OO_INTERNAL', hint: "The server's log names the cause." };
  };

  /** Runs a call whose body is proven. What is refused is answered with its status. */
  const run = async <R extends Named>(c: Context, body: R, answer: Answers<R>): Promise<Response> => {
    const { reason, ...request } = body;
    note(c, { ids: [body.name] });
    const scopes = isRoute(body.name) ? ['routes:write' as const] : ['services:write' as const];
    const refused = [...scopes, ...(body.hosts ? ['routes:write' as const] : [])].map((scope) => demand(c, scope));
    const first = refused.find((response) => response !== undefined);
    if (first) return first;
    const { actor, from } = callerOf(c);
    try {
      return await answer(c, request, { actor, from, reason });
    } catch (error) {
      if (!(error instanceof RolloutRefusal)) throw error;
      return refuse(c, error.status, { error: error.message, code: error.code, hint: error.hint });
    }
  };

  const operation = (id: string, more: Pick<Operation, 'summary' | 'description' | 'answers' | 'body'>): Operation => ({
    id,
    method: 'post',
    path: `/v1/${id}`,
    tag: 'deploys',
    scope: 'any',
    ...more,
  });

  const post = <S extends v.GenericSchema<unknown, Named>>(
    id: string,
    [schema, wire]: readonly [S, v.GenericSchema],
    summary: string,
    answers: Operation['answers'],
    answer: Answers<v.InferOutput<S>>,
  ) =>
    on(operation(id, { summary, description: whose, body: wire, answers }), async (c) => {
      const body = await read(c, schema);
      return body instanceof Response ? body : run(c, body, answer);
    });

  const followed = (c: Context, begin: (onStep: OnStep, signal: AbortSignal) => Promise<RolloutRun>) =>
    follow(
      c,
      (line, signal) => begin((step) => line({ step }), signal),
      (outcome) => ({ outcome }),
      errorOf,
    );

  post(
    'deploy',
    [deploySchema, deployWire],
    'Gives a route or a service new targets, once they are healthy',
    lines,
    (c, request, by) => followed(c, (onStep, signal) => rollouts.deploy(request, by, onStep, signal)),
  );
  on(
    operation('rollback', {
      summary: 'Undoes a deploy; or, with a revision, makes the whole configuration as it was then',
      description: `With \`name\`: of a route or a service, to the target before its last deploy. ${whose} With \`revision\`: ${rollbackToText}`,
      body: rollbackTo ? v.union([rollbackWire, rollbackToWire]) : rollbackWire,
      ...(rollbackTo && { query: dryRunQuery, conditional: true }),
      answers: rollbackTo ? { 200: { ...lines[200], schema: appliedWire } } : lines,
    }),
    async (c) => {
      const given = await read(c, mapping);
      if (given instanceof Response) return given;
      if (rollbackTo && Object.hasOwn(given, 'revision')) {
        const to = prove(c, rollbackToWire, given);
        return to instanceof Response ? to : rollbackTo(c, to);
      }
      const body = prove(c, rollbackSchema, given);
      if (body instanceof Response) return body;
      if ((c.req.query('dryRun') ?? 'false') !== 'false') return untried(c);
      return run(c, body, (c, request, by) =>
        followed(c, (onStep, signal) => rollouts.rollback(request, by, onStep, signal)),
      );
    },
  );
  post('pause', [pauseSchema, pauseWire], 'Lets requests wait', gates, async (c, request, by) =>
    c.json(await rollouts.pause(request, by)),
  );
  post('resume', [resumeSchema, resumeWire], 'Lets requests through again', gates, async (c, request, by) =>
    c.json(await rollouts.resume(request, by)),
  );
  post('stop', [stopSchema, stopWire], 'Answers requests with a maintenance page', gates, async (c, request, by) =>
    c.json(await rollouts.stop(request, by)),
  );
}

function untried(c: Context): Response {
  return refuse(c, 400, {
    error: "The rollback of a deploy can't be tried: dryRun is for one with a revision.",
    code: 'OO_BAD_REQUEST',
    hint: 'Nothing was done. Leave dryRun out, or send a revision in place of the name.',
  });
}

interface Named {
  readonly name: string;
  readonly reason?: string;
  readonly hosts?: readonly string[];
}

type Answers<R> = (c: Context, request: Omit<R, 'reason'>, by: By) => Promise<Response>;

const whose = 'A route needs the scope `routes:write`, a service `services:write`.';
const lines = {
  200: {
    description:
      'A line of JSON for each step, `{"step": …}`, with empty ones between; the last one has the `outcome`, or `error`, `code` and `hint`.',
    type: ndjson,
  },
};
const gates = { 200: { description: 'How it is now: all workers go by it.', schema: gateOutcomeWire } };
