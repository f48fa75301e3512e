import * as v from 'valibot';
import { about, between, flag, maybe, text, texts, time, whole } from './common.ts';

const statusWire = about(v.picklist(['Healthy', 'Degraded', 'Unreachable', 'Unknown']), 'Unknown: not probed yet.');
const weight = about(whole(1, 1_000), "Its share of the requests next to the others'.");
const priority = about(
  whole(0, 100),
  '0 is asked first; the next number only when too few of those before are healthy.',
);

/** What registers an instance, and is its heartbeat. */
export const registrationWire = v.strictObject({
  id: maybe(text, 'Default: made of slug and url, so that registering again is the same instance.'),
  url: maybe(text, 'Where it listens; or host or ip with the rest.', { examples: ['http://10.0.0.2:3000'] }),
  deploymentId: maybe(text, 'Which deploy it is of: any text.'),
  scheme: maybe(text, 'http, https or h2c.', { default: 'http' }),
  host: maybe(text, 'Name or address.'),
  ip: maybe(text, 'Address.'),
  port: maybe(v.number(), "Default: the scheme's."),
  path: maybe(text, "Put before the request's path."),
  tags: maybe(texts, 'Up to 32 texts.'),
  ttlSeconds: maybe(between(5, 86_400), 'How long it lives after a heartbeat, in seconds: 5 to 86,400.', {
    default: 90,
  }),
  weight: v.optional(weight),
  priority: v.optional(priority),
});

export const ownRegistrationWire = v.strictObject({
  ...registrationWire.entries,
  slug: maybe(text, 'Whose instance it is, where no token says it.', { examples: ['user-svc'] }),
});

export const instanceWire = v.object({
  ...{ id: text, url: text, deploymentId: text, nodeUrl: text, lastHeartbeat: time },
  ...{ path: text, scheme: text, host: text, ip: text, port: whole(0, 65_535) },
  status: statusWire,
  details: about(text, "Why it has this status, one line; '' for nothing to say."),
  slug: text,
  tags: texts,
  ttlSeconds: about(v.number(), 'How long it lives after a heartbeat, in seconds.'),
  weight,
  priority,
  statusSince: time,
  createdAt: time,
});

export const nodeWire = v.object({
  id: text,
  url: text,
  az: about(text, "Availability zone; '' for none."),
  lastHeartbeat: time,
});

export const slugQuery = v.strictObject({ slug: maybe(text, 'Whose instance it is, where no token says it.') });
export const instancesQuery = v.strictObject({
  ...{ slug: v.optional(text), host: v.optional(text), ip: v.optional(text) },
  ...{ deploymentId: v.optional(text), path: v.optional(text) },
});
export const instancesWire = v.object({ instances: v.array(instanceWire) });
export const registeredWire = v.object({
  instance: instanceWire,
  isNew: about(flag, 'False: it was there, and this was its heartbeat.'),
});
export const nodesWire = v.object({ nodes: v.array(nodeWire) });
export const ownNodesWire = v.object({ nodes: v.array(nodeWire), self: about(text, "This machine's id.") });
export const nodeSelfWire = v.object({ node: nodeWire });

/** An instance as its service's pool has it. */
export const memberWire = v.object({
  id: text,
  url: text,
  weight,
  priority,
  status: statusWire,
  details: text,
  statusSince: time,
  createdAt: time,
});
