import type { Route } from '../../src/core/types.ts';
import { type OriginConnection, reply } from './origin.ts';

/** Options of a pair whose one instance takes so many requests at a time. */
export const limited = (maxConnections: number, rest: Route['limits'] = {}): { route: Partial<Route> } => ({
  route: { limits: { maxConnections, ...rest } },
});

/** Answers after a moment, and counts how many it has at one time. */
export function slowly(ms: number): {
  most: number;
  request: (request: { line: string }, connection: OriginConnection) => void;
} {
  let now = 0;
  const counted = {
    most: 0,
    request({ line }: { line: string }, connection: OriginConnection) {
      counted.most = Math.max(counted.most, ++now);
      setTimeout(() => {
        now--;
        connection.send(reply(line));
      }, ms);
    },
  };
  return counted;
}
