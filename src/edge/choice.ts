import { noKey } from '../core/balance-pick.ts';

/** What of a request decides which instance it gets, as far as its pool asks for it. */
export interface Choice {
  /** For `hash`: `hashText` of the client's address, the header's or the cookie's value; else `noKey`. */
  key: number;
  /** The value of the pool's sticky cookie. */
  token: string | undefined;
  /** It goes to the canary, if there is one. */
  canary: boolean;
}

/** Of pools that ask for nothing. */
export const plainChoice: Choice = Object.freeze({ key: noKey, token: undefined, canary: false });
