import * as v from 'valibot';
import { about, epochMs, revision, text, whole, yes } from './common.ts';

const number = v.number();
const healthWire = v.picklist(['Healthy', 'Degraded', 'Unreachable', 'Unknown']);

const livePoolWire = v.object({
  name: about(text, "A route's id, or a slug."),
  kind: v.picklist(['route', 'service']),
  target: about(text, 'As it was written; of a service without a target: how many have registered.'),
  state: about(
    v.picklist(['ok', 'spill', 'panic', 'none']),
    'spill: too few of the first group are healthy, others help; panic: too few are at all, so all are used; none: no instance.',
  ),
  gate: about(v.nullable(v.looseObject({})), 'Null: it is open.'),
  serviceGate: about(v.nullable(v.looseObject({})), 'Of a route to a service: that one’s.'),
  canary: v.nullable(v.looseObject({})),
  requests: number,
  errors: about(number, 'Answered with a status from 500 on, or cut.'),
  retries: number,
  inFlight: number,
  waiting: about(number, 'For a place, or since it is paused; in inFlight, too.'),
  latencies: about(v.array(number), "How many took how long to the response's head, in steps that double."),
});

const liveInstanceWire = v.object({
  key: text,
  address: text,
  state: about(healthWire, 'Unknown: it is not probed.'),
  since: about(epochMs, 'Since when, epoch ms; 0: it is not probed.'),
  reason: text,
  ejected: about(v.nullable(v.object({ cause: text, leftMs: number })), 'What ejected it; null: it is not.'),
  pools: about(
    v.array(v.object({ name: text, share: number })),
    'Pools that pick it, each with its part of the requests, 0 to 1; -1: the pool has had no request. None: it drains.',
  ),
  requests: number,
  failures: number,
  inFlight: number,
  open: about(number, 'Open connections.'),
  breaker: about(text, "closed, half-open or open; '' without a breaker."),
  latencyMs: about(number, "Moving average to the response's head; -1: unknown."),
});

export const liveWire = v.object({
  at: epochMs,
  revision,
  workers: about(whole(0), 'How many have answered.'),
  pools: v.array(livePoolWire),
  instances: v.array(liveInstanceWire),
  quiet: about(whole(0), 'Routes and services that are not in pools, since they have had no request.'),
});
export const liveQuery = v.strictObject({
  all: about(yes, 'Also every route and service that has had no request.'),
});

/** What a server says of itself; more of it depends on how it runs. */
export const statusWire = v.looseObject({
  version: text,
  pid: whole(1),
  revision,
  routes: about(whole(0), 'How many there are.'),
});
