import { explainMatch } from '../core/explain.ts';
import type { AskedRequest } from '../core/explain-request.ts';
import type { FailureCode } from '../core/failure.ts';
import { normalizeAuthority } from '../core/host.ts';
import { readServicePath } from '../core/service-path.ts';
import type { RouteTable } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { MatchView } from './explain-types.ts';

/** What takes a request. */
export interface Found {
  readonly route: CompiledRoute | undefined;
  /** '' where there is a route, and where oo answers itself. */
  readonly code: FailureCode | '';
  readonly match: MatchView;
}

/** By host and path. */
export function matchRoute({ scheme, authority, path }: AskedRequest, table: RouteTable): Found {
  const { decision, ...match } = explainMatch(table, scheme, authority, path);
  const route = decision.kind === 'forward' ? decision.route : undefined;
  const code = decision.kind === 'reply' ? decision.code : '';
  return { route, code, match: { route: route?.id ?? '', ...match } };
}

/** On the service port, by the first segment of the path. */
export function matchService(
  { authority, path }: AskedRequest,
  serviceRoute: (slug: string) => CompiledRoute | undefined,
): Found {
  const empty = { runnersUp: [], more: 0, readings: [], misses: [] };
  const nobody = (code: FailureCode | '', why: string): Found => ({
    ...{ route: undefined, code },
    match: { route: '', why, ...empty },
  });
  if (authority !== '' && normalizeAuthority(authority) === undefined)
    return nobody('OO_BAD_HOST', `'${authority}' is not one valid host, with or without a port`);
  const read = readServicePath(path, false);
  if (read.kind === 'reply') return nobody(read.code, `${path} does not say plainly which service it is for`);
  if (read.kind === 'built-in') return nobody('', `${path} is one of the port's own paths`);
  const route = serviceRoute(read.slug);
  if (route === undefined) return nobody('OO_NO_SERVICE', `no service '${read.slug}' is defined or registered`);
  return {
    route,
    code: '',
    match: { route: route.id, why: `its first segment names the service ${read.slug}`, ...empty },
  };
}
