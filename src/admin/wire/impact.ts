import * as v from 'valibot';
import { about, maybe, text, whole } from './common.ts';

/** What a dry run says of the requests that were seen lately. */
export const impactWire = v.object({
  requests: about(whole(0), 'How many of the requests last seen were looked at.'),
  retargeted: about(whole(0), 'How many would go elsewhere: to other targets, to a redirect, to a failure.'),
  altered: about(whole(0), 'How many more would go to the same targets by another route, or one with other options.'),
  examples: about(
    v.array(v.object({ method: text, url: text, requests: whole(1), from: text, to: text })),
    'Up to 10, the most frequent first.',
  ),
});

/** In the answer of a dry run. */
export const dryImpact = maybe(impactWire, 'With dryRun: what it would do to the requests that were seen last.');
