import { decide } from '../core/decide.ts';
import { type AskedRequest, fieldOf } from '../core/explain-request.ts';
import { normalizeAuthority } from '../core/host.ts';
import { httpsUrlOf, leadsToHttps } from '../core/plain.ts';
import { findHosts, type RouteTable } from '../core/table.ts';
import type { ListenerView, ServerFacts } from './explain-types.ts';

/** Who takes the connection, and whether plain HTTP is led away: as src/edge/plain-http.ts decides it. */
export function listenerOf(
  request: AskedRequest,
  facts: ServerFacts,
  table: RouteTable,
  trusted: boolean,
): ListenerView {
  const { scheme, port, authority, path } = request;
  const { http, https, service } = facts;
  const nobody = (text: string): ListenerView => ({ name: 'none', port: 0, text, leadsTo: '' });
  if (scheme === 'http' && service > 0 && port === service && port !== http)
    return {
      name: 'service',
      port: service,
      text: `the service port ${service}: the first segment of the path names a service`,
      leadsTo: '',
    };
  const own = scheme === 'https' ? https : http;
  if (own === 0) return nobody('HTTPS is not served here: start oo without --test-mode, or with an HTTPS port');
  const mapped = port === own ? '' : `; the URL's port ${port} has to lead there`;
  const base = { name: scheme, port: own } as const;
  if (scheme === 'https' || https === 0)
    return { ...base, text: `the ${scheme.toUpperCase()} listener on port ${own}${mapped}`, leadsTo: '' };
  const text = `the HTTP listener on port ${own}${mapped}`;
  const named = authority === '' ? undefined : normalizeAuthority(authority);
  const hosts = findHosts(table, 'http', authority);
  if (trusted && /^[ \t]*https[ \t]*(?:,|$)/i.test(fieldOf(request, 'x-forwarded-proto')))
    return { ...base, text: `${text}; the trusted proxy took it over HTTPS, so that it stays`, leadsTo: '' };
  if (path.startsWith('/.well-known/acme-challenge/'))
    return { ...base, text: `${text}; a challenge of this server's own is answered first`, leadsTo: '' };
  if (hosts === undefined || named === undefined) return { ...base, text, leadsTo: '' };
  if (!leadsToHttps(hosts, decide(table, 'http', authority, path))) return { ...base, text, leadsTo: '' };
  const leadsTo = httpsUrlOf(named, http, https, path + request.query);
  return { ...base, text: `${text}: it leads to HTTPS, as the route does not say http: allow`, leadsTo };
}
