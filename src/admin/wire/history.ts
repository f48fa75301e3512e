import * as v from 'valibot';
import { about, epochMs, maybe, reason, revision, text, texts, whole } from './common.ts';
import { definitionWire } from './definition.ts';
import { dryImpact } from './impact.ts';
import { routeWire } from './route-options.ts';
import { settingsWire } from './settings.ts';

/** What a revision did to one thing. */
export const changeWire = v.object({
  kind: v.picklist(['route', 'service', 'settings']),
  id: about(text, 'Of settings: server.'),
  before: about(v.nullable(v.record(text, v.unknown())), 'Null: it was not there.'),
  after: about(v.nullable(v.record(text, v.unknown())), 'Null: it is gone.'),
});
export const changesWire = about(v.array(changeWire), 'Each thing that it changes, as it was and as it is.');

export const appliedWire = v.object({
  revision: about(revision, 'The one that it made; without any change, or with dryRun, the present one.'),
  changes: changesWire,
  unchanged: about(whole(0), 'How many things are as they are wanted already.'),
  certificates: about(texts, 'Ids of own certificates that were stored, or would be.'),
  impact: dryImpact,
});

export const rollbackToText =
  'everything is made as it was then, as a new revision. It needs `routes:write` and `services:write`, `handlers:write` where handlers change, and `admin` where settings do.';

export const revisionInfoWire = v.object({
  revision,
  at: epochMs,
  actor: about(text, 'Who made it.', { examples: ['token:tok_1a2b', 'cli'] }),
  from: about(text, "Where from: an address, socket, or '' where it is not known."),
  reason: about(text, "'' for none."),
  changes: about(whole(0), 'How many things it changed.'),
});

export const applyWire = v.strictObject({
  routes: maybe(v.array(routeWire), 'Saved; those that are not named stay, unless prune takes them away.'),
  services: maybe(v.array(definitionWire), 'Likewise.'),
  settings: maybe(settingsWire, 'All of them: those that are left out get their defaults.'),
  certificates: maybe(
    v.array(
      v.strictObject({
        id: maybe(text, 'Default: the first name of the certificate.'),
        cert: about(text, 'PEM, the leaf first.'),
        key: about(text, 'PEM.'),
      }),
    ),
    "Certificates of one's own.",
  ),
  owner: maybe(text, 'The label that what is made gets, and that prune goes by.', { examples: ['shop-team'] }),
  prune: maybe(v.boolean(), 'Removes routes and services of the same owner that the body does not have.', {
    default: false,
  }),
  reason,
});
export const stateWire = v.object({
  revision,
  routes: v.array(routeWire),
  services: v.array(definitionWire),
  settings: settingsWire,
});
export const historyQuery = v.strictObject({
  limit: v.optional(about(v.pipe(text, v.regex(/^\d{1,4}$/)), 'At most so many, 1 to 1000.', { default: '100' })),
  before: maybe(text, 'Only revisions before this one: the `next` of the page before.'),
});
export const historyWire = v.object({
  revisions: about(v.array(revisionInfoWire), 'The newest first.'),
  next: maybe(text, 'There are more: send it as `before`.'),
});
export const revisionWire = v.object({ ...revisionInfoWire.entries, resources: changesWire });
const point = v.pipe(text, v.regex(/^@?\d{1,15}$/));
export const diffQuery = v.strictObject({
  from: about(point, 'A revision.', { examples: ['5'] }),
  to: maybe(point, 'A revision. Default: the present one.'),
});
export const diffWire = v.object({ from: revision, to: revision, resources: changesWire });
