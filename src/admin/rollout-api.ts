import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { actorOf } from './actor.ts';
import { read } from './body.ts';
import { follow } from './follow.ts';
import { refuse, wrongMethod } from './reply.ts';
import { type OnStep, RolloutRefusal, type RolloutRun, type Rollouts } from './rollout-types.ts';
import { asStoreFailure, type By } from './store.ts';

/** A deploy that takes longer than an hour is a forgotten one. */
const time = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3_600_000)));
const common = {
  name: v.string(),
  reason: v.optional(v.pipe(v.string(), v.maxLength(1_000))),
};
const times = { deadlineMs: time, drainMs: time, force: v.optional(v.boolean()) };
const deploySchema = v.strictObject({
  ...common,
  ...times,
  targets: v.optional(v.pipe(v.array(v.string()), v.maxLength(1_000))),
  percent: v.optional(v.number()),
  header: v.optional(v.string()),
  hosts: v.optional(v.pipe(v.array(v.string()), v.maxLength(1_000))),
  health: v.optional(v.string()),
});
const rollbackSchema = v.strictObject({ ...common, ...times });
const pauseSchema = v.strictObject({
  ...common,
  maxWaitMs: v.optional(v.number()),
  maxWaiting: v.optional(v.number()),
});
const resumeSchema = v.strictObject(common);
/** A year. */
const longestStopMs = 366 * 86_400_000;
const stopSchema = v.strictObject({
  ...common,
  message: v.optional(v.string()),
  forMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(longestStopMs))),
});

/**
 * Deploys over HTTP: bodies as `DeployRequest`, `RollbackRequest`, `PauseRequest` and `StopRequest` say, each with `reason` for the change log.
 *
 * POST `/v1/deploy` and `/v1/rollback` answer with a line of JSON for each step (`{step: RolloutStep}`) and a last one: `{outcome: RolloutOutcome}`, or
 * `error`, `code` and `hint`. Who leaves before the swap ends it, and nothing is changed.
 * POST `/v1/pause`, `/v1/resume` and `/v1/stop` answer with a `GateOutcome`.
 */
export function addRolloutCalls(app: Hono, rollouts: Rollouts, onError?: (error: Error) => void): void {
  const errorOf = (error: Error): object => {
    const known = error instanceof RolloutRefusal ? error : asStoreFailure(error);
    if (known) return { error: known.message, code: known.code, hint: known.hint };
    onError?.(error);
    return { error: 'It failed.', code: 'OO_INTERNAL', hint: "The server's log names the cause." };
  };

  /** Adds a call. What is refused is answered with its status. */
  const post = <S extends v.GenericSchema<unknown, { reason?: string | undefined }>>(
    path: string,
    schema: S,
    answer: (c: Context, request: v.InferOutput<S>, by: By) => Promise<Response>,
  ) => {
    app.post(path, async (c) => {
      const body = await read(c, schema);
      if (body instanceof Response) return body;
      const { reason, ...request } = body;
      try {
        return await answer(c, request, { actor: actorOf(c), reason });
      } catch (error) {
        if (!(error instanceof RolloutRefusal)) throw error;
        return refuse(c, error.status, { error: error.message, code: error.code, hint: error.hint });
      }
    });
    app.all(path, (c) => wrongMethod(c, 'POST'));
  };

  const followed = (c: Context, begin: (onStep: OnStep, signal: AbortSignal) => Promise<RolloutRun>) =>
    follow(
      c,
      (line, signal) => begin((step) => line({ step }), signal),
      (outcome) => ({ outcome }),
      errorOf,
    );

  post('/v1/deploy', deploySchema, (c, request, by) =>
    followed(c, (onStep, signal) => rollouts.deploy(request, by, onStep, signal)),
  );
  post('/v1/rollback', rollbackSchema, (c, request, by) =>
    followed(c, (onStep, signal) => rollouts.rollback(request, by, onStep, signal)),
  );
  post('/v1/pause', pauseSchema, async (c, request, by) => c.json(await rollouts.pause(request, by)));
  post('/v1/resume', resumeSchema, async (c, request, by) => c.json(await rollouts.resume(request, by)));
  post('/v1/stop', stopSchema, async (c, request, by) => c.json(await rollouts.stop(request, by)));
}
