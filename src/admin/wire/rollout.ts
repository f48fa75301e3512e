import * as v from 'valibot';
import { about, between, flag, maybe, reason, revision, text, texts, whole } from './common.ts';
import { canaryWire, gateWire, targetWire } from './pool.ts';

/** A deploy that takes longer than an hour is a forgotten one. */
const time = whole(0, 3_600_000);
const common = {
  name: about(text, "A route's id or a service's slug.", { examples: ['app.example.com', 'user-svc'] }),
  reason,
};
const times = {
  deadlineMs: maybe(time, 'How long new targets are waited for, ms. Default 30,000; of a rollback 10,000.'),
  drainMs: maybe(time, 'How long old ones are watched, ms; 0: not at all.', { default: 30_000 }),
  force: maybe(flag, 'Without a check.', { default: false }),
};
const list = v.pipe(texts, v.maxLength(1_000));

export const deployWire = v.strictObject({
  ...common,
  ...times,
  targets: maybe(list, 'Where its requests shall go. Left out: the canary that is there gets another part of them.', {
    examples: [['http://10.0.0.3:3000']],
  }),
  percent: maybe(between(0, 100), 'Makes it a canary: only this part of all requests goes there.'),
  header: maybe(text, 'Makes it a canary for requests with this field: `name=value`, or `name` for any value.'),
  hosts: maybe(list, 'Routes that shall lead to the service; they are made.'),
  health: maybe(text, "Another path to be asked for than the pool's check has.", { examples: ['/up'] }),
});
export const rollbackWire = v.strictObject({ ...common, ...times });
/** Of the configuration. */
export const rollbackToWire = v.strictObject({
  revision: about(revision, 'Everything is made as it was then, as a new revision.'),
  reason,
});
export const pauseWire = v.strictObject({
  ...common,
  maxWaitMs: maybe(whole(1, 600_000), 'How long a request may wait, ms.', { default: 30_000 }),
  maxWaiting: maybe(whole(0, 100_000), 'How many may wait.', { default: 1_000 }),
});
export const resumeWire = v.strictObject(common);
export const stopWire = v.strictObject({
  ...common,
  message: maybe(v.pipe(text, v.maxLength(1_000)), "What the page says. Default: oo's own words."),
  forMs: maybe(whole(1, 366 * 86_400_000), 'For how long, ms. Default: until it is resumed.'),
});

const kind = v.picklist(['route', 'service']);
export const gateOutcomeWire = v.object({
  name: text,
  kind,
  gate: about(v.nullable(gateWire), 'Null: it is open.'),
  changed: about(flag, 'False: it was so already.'),
  notes: about(texts, 'What else one should know; each one line.'),
});
/** The last line of a deploy that went well has it as `outcome`. */
export const rolloutOutcomeWire = v.object({
  name: text,
  kind,
  created: flag,
  changed: flag,
  target: about(v.nullable(targetWire), "Null: a service's registered instances."),
  canary: v.nullable(canaryWire),
  previous: about(v.nullable(targetWire), 'Where a rollback leads.'),
  hosts: about(texts, 'Ids of routes to the service that were made.'),
  drained: about(texts, 'Old targets on which nothing runs any more.'),
  left: about(v.array(v.object({ target: text, inFlight: whole(0) })), 'Those on which something does.'),
  shared: about(texts, 'Old targets that other routes or services have, too.'),
});
