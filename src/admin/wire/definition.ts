import * as v from 'valibot';
import { about, flag, maybe, text, whole } from './common.ts';
import { poolEntries, targetWire } from './pool.ts';

const time = whole(1, 2 ** 31 - 1);
export const owner = maybe(
  v.pipe(text, v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/)),
  'Whose it is: the label that `oo apply` gives what it makes. Kept by a save that does not say it.',
  { examples: ['shop-team'] },
);

/** Of a definition, whose fields may be anybody's: what is no text is no owner's label, and kept as it came. */
const ownerOrField = v.optional(
  v.union([owner.wrapped, v.number(), v.boolean(), v.null(), v.array(v.unknown()), v.record(text, v.unknown())]),
);

/** How requests are forwarded: what routes and definitions both say. */
export const forwardEntries = {
  hostHeader: maybe(v.picklist(['client', 'upstream']), "Which Host the upstream sees: the client's, or its own.", {
    default: 'client',
  }),
  insecureSkipVerify: maybe(flag, 'Accept any certificate of an https:// target.', { default: false }),
  connectTimeoutMs: maybe(time, 'Time to open an upstream connection, ms.'),
  responseTimeoutMs: maybe(time, "Time from the whole request sent to the response's head, ms."),
  idleTimeoutMs: maybe(time, 'Longest silence inside a body, ms.'),
  maxBodyBytes: maybe(whole(0), 'Longest request body, bytes; longer ones are answered 413. Default: no limit.'),
};

/** What a person says of a service. Other fields are kept as they came. */
export const definitionWire = about(
  v.looseObject({
    id: about(text, "The service's slug.", { examples: ['user-svc'] }),
    target: maybe(targetWire, 'Instances that need not register; those that register are not used then.'),
    ...forwardEntries,
    ...poolEntries,
    owner: ownerOrField,
  }),
  'What a person says of a service. Other fields are kept as they came.',
);
