import type { FailureCode } from './failure.ts';
import { ambiguity, otherReadings } from './path.ts';
import { findHosts, type HostMatch, matchPath, type RouteTable } from './table.ts';
import type { Decision, ReplyDecision, Scheme } from './types.ts';

const replies = new Map<FailureCode, ReplyDecision>();
const badHost = replyWith('OO_BAD_HOST');
const badPath = replyWith('OO_BAD_PATH');
const noRoute = replyWith('OO_NO_ROUTE');

/** The decision to answer with a failure: one constant object a code. */
export function replyWith(code: FailureCode): ReplyDecision {
  let reply = replies.get(code);
  if (reply === undefined) {
    reply = Object.freeze({ kind: 'reply' as const, code });
    replies.set(code, reply);
  }
  return reply;
}

/**
 * Decides one request: host, then path. Allocates nothing but the host match.
 * @param authority the Host of the request, or the authority of an absolute target
 * @param path the path as sent, escapes and all, without the query
 * @returns forward, or OO_BAD_HOST, OO_BAD_PATH or OO_NO_ROUTE
 */
export function decide(table: RouteTable, scheme: Scheme, authority: string, path: string): Decision {
  const hosts = findHosts(table, scheme, authority);
  return hosts === undefined ? badHost : decidePath(hosts, path, false);
}

/**
 * Decides by the path, with hosts found before.
 * @param plain true if the caller has seen that the path starts with `/`, is visible ASCII, and holds no `%`, `;`, `\`, `//`
 *   or `/.`: it has one reading only, and the path policy (path.ts) is skipped
 */
export function decidePath(hosts: HostMatch, path: string, plain: boolean): Decision {
  if (!plain) {
    const readings = ambiguity(path);
    if (readings === 'refused') return badPath;
    if (readings === 'several' && hosts.single === undefined) return decideReadings(hosts, path);
  }
  const route = hosts.single ?? matchPath(hosts, path);
  return route === undefined ? noRoute : route.forward;
}

/** The path is forwarded only if an upstream that reads it in another way still reads a path of the same route. */
function decideReadings(hosts: HostMatch, path: string): Decision {
  const route = matchPath(hosts, path);
  for (const reading of otherReadings(path)) {
    if (matchPath(hosts, reading) !== route) return badPath;
  }
  return route === undefined ? noRoute : route.forward;
}
