import * as v from 'valibot';
import { about, maybe, text, texts, time, whole } from './common.ts';

export const auditQuery = v.strictObject({
  limit: maybe(v.string(), 'How many: 1 to 1,000.', { default: '100' }),
  after: maybe(v.string(), 'Those after this one of a list: its `next`.'),
  actor: maybe(v.string(), 'Only by this one.', { examples: ['token:tok_1a2b3c4d'] }),
  since: maybe(v.string(), 'None that is older: RFC 3339.', { examples: ['2026-11-23T00:00:00Z'] }),
});

/** A write, as the API shows it. */
export const auditWire = v.strictObject({
  id: whole(1),
  at: time,
  actor: about(text, 'Who: a token by its id, or what the local user says.'),
  from: about(text, 'An address, or `socket`.'),
  operation: about(text, 'What was called.', { examples: ['saveRoutes'] }),
  method: text,
  path: text,
  ids: about(texts, 'What it was about, as far as that is known.'),
  status: about(whole(100, 599), 'Of the answer.'),
  revision: about(v.nullable(v.number()), 'The one that it made; null for none.'),
});

export const auditsWire = v.strictObject({
  entries: v.array(auditWire),
  next: maybe(text, 'There are more: send it as `after`.'),
});
