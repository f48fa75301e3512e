import type { Authority } from './host.ts';
import type { HostMatch } from './table.ts';
import type { Decision } from './types.ts';

/**
 * Whether a request over plain HTTP, where HTTPS is served, is led there: for hosts that have a route, whatever its path, unless the route says
 * `http: allow`. What is wrong with a request is told by those who forward it.
 */
export function leadsToHttps(hosts: HostMatch, decision: Decision): boolean {
  if (hosts.levels.length === 0) return false;
  return decision.kind === 'forward' ? decision.route.route.http !== 'allow' : decision.code === 'OO_NO_ROUTE';
}

/**
 * Where the same is to be had over HTTPS.
 * @param named the request's host, with its port if it names one
 * @param localPort the port that it has reached @param httpsPort ours
 * @param target path and query as sent
 */
export function httpsUrlOf(named: Authority, localPort: number, httpsPort: number, target: string): string {
  // A client that used port 80, and got to another one here, came through something that maps ports: 443 will be mapped as well.
  const isMapped = (named.port === 0 || named.port === 80) && localPort !== 80;
  const port = isMapped ? 443 : httpsPort;
  const path = target.startsWith('/') ? target : `/${target}`;
  return `https://${named.host}${port === 443 ? '' : `:${port}`}${escaped(path)}`;
}

/** A target holds visible ASCII only; what of that is no URI character, and means something in HTML or a header, is escaped (attack 27). */
function escaped(path: string): string {
  return path.replace(/[^A-Za-z0-9\-._~:/?[\]@!$&()*+,;=%]/g, (c) => {
    return `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
