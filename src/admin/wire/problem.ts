import * as v from 'valibot';
import { about, maybe, text, whole } from './common.ts';

/** Why one value was refused. */
export const faultWire = v.object({
  pointer: maybe(text, 'JSON pointer (RFC 6901) into the body that was sent.', { examples: ['/routes/3/target'] }),
  index: maybe(whole(0), 'Its place in the list that was sent, from 0.'),
  first: maybe(whole(0), 'The place of the one that has the same id.'),
  id: maybe(text, 'Its id, as it was sent.'),
  kind: maybe(text, 'Of what, in an apply: route, service, settings or certificate.'),
  field: maybe(text, 'Which of its fields.', { examples: ['target'] }),
  message: about(text, 'What it is, and what was expected.'),
});

/** Every refusal of the API: RFC 9457, with the seed's `error`. */
export const problemWire = v.object({
  type: about(text, 'What this kind of problem is about: a page of this server.', {
    examples: ['/docs/errors#OO_BAD_ROUTES'],
  }),
  title: about(text, 'The kind of problem in a few words; the same each time.'),
  status: about(whole(400, 599), 'The HTTP status.'),
  detail: about(text, 'What is wrong this time.'),
  error: about(text, "The same text as detail: the seed's name of it."),
  code: about(text, 'For programs: it does not change.', { examples: ['OO_BAD_ROUTES'] }),
  hint: about(text, 'What to do next.'),
  faults: maybe(v.array(faultWire), 'Each value that was refused; at most 100.'),
});
