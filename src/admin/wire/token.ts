import * as v from 'valibot';
import { scopes } from '../access.ts';
import { about, maybe, text, time, timeOrNull } from './common.ts';

/** A token as the API shows it. */
export const tokenWire = v.looseObject({
  id: about(text, 'Its name in lists and in the history; it opens nothing.', { examples: ['tok_1a2b3c4d'] }),
  scopes: maybe(v.array(v.picklist(scopes)), 'What it is for.'),
  slug: about(text, "The one service that instance:write is for; '' for any, or none."),
  note: text,
  createdAt: time,
  expiresAt: about(timeOrNull, 'Null: never.'),
});

export const tokensWire = v.object({ tokens: v.array(tokenWire) });
/** The only answer that has a token's text. */
export const createdTokenWire = v.looseObject({
  ...tokenWire.entries,
  token: about(text, 'What goes behind `Bearer`. It is shown once.'),
});
