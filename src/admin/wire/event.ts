import * as v from 'valibot';
import { about, maybe } from './common.ts';

export const eventKinds = ['change', 'health', 'certificate'] as const;

const kind = v.picklist(eventKinds);

export const eventsQuery = v.strictObject({
  kind: maybe(v.union([kind, v.array(kind)]), 'Only these; repeatable. Default: all that the token may see.'),
  after: maybe(v.string(), 'Begins with what came after the event of this id, as the field Last-Event-ID does.'),
  format: about(v.optional(v.picklist(['sse', 'ndjson'])), 'Server-sent events, or a line of JSON for each.', {
    default: 'sse',
  }),
});
