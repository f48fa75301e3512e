import * as v from 'valibot';
import { about, epochMs, revision, text, texts, whole } from './common.ts';

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
});

export const rollbackToText =
  'everything is made as it was then, as a new revision. It needs `routes:write` and `services:write`, and `admin` where settings change.';

export const revisionInfoWire = v.object({
  revision,
  at: epochMs,
  actor: about(text, 'Who made it.', { examples: ['token:tok_1a2b', 'cli'] }),
  from: about(text, "Where from: an address, socket, or '' where it is not known."),
  reason: about(text, "'' for none."),
  changes: about(whole(0), 'How many things it changed.'),
});
