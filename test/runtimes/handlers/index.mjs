import answer from './answer.mjs';
import around from './around.mjs';
import fetches from './fetches.mjs';
import hangs from './hangs.mjs';
import through from './through.mjs';
import throws from './throws.mjs';
import upper from './upper.mjs';

/** What a route's `handler` stands for where the proxy is embedded. `oo` gets the text of the same files. */
export const checkHandlers = { answer, around, fetches, hangs, through, throws, upper };
