import { faultText } from '../core/fault-text.ts';
import type { OptionProver } from '../core/option-compile.ts';
import { isMapping, show } from '../core/pool-proof.ts';
import { compileTable, getRoute, type RouteTable, routesOf } from '../core/table.ts';
import type { CompiledRoute, Route, RouteFault } from '../core/types.ts';
import { type Embedded, embed } from './embed.ts';
import { proveList } from './prove-options.ts';
import type { OptionsRunner } from './route-options.ts';
import type { ProxyOptions, ProxyRoute } from './types.ts';

/** All routes in compiled form, and what of them is this program's own. */
export interface ProxyTable {
  readonly routes: RouteTable;
  /** Routes with a handler, by their id in normal form. */
  readonly embedded: ReadonlyMap<string, Embedded>;
}

/**
 * Compiles routes, and proves that this program and its runtime can do what they say.
 * @param prove what routes may have beside a target
 * @param runner null where that is a handler at the most
 * @throws TypeError for a route that is refused; `cause` has the route faults
 */
export function compileAll(
  routes: Iterable<ProxyRoute>,
  revision: number,
  prove: OptionProver,
  runner: OptionsRunner | null,
  handlers: ProxyOptions['handlers'],
): ProxyTable {
  const faults: RouteFault[] = [];
  const found: Embedded[] = [];
  const plain: Route[] = [];
  proveList(routes);
  for (const route of routes) {
    if (!isMapping(route)) throw new TypeError(`routes[${plain.length}] is ${show(route)}; expected { id, target }`);
    const unknown = runner?.unknownField(route);
    if (unknown) {
      const message = `route '${route.id}' has the unknown field '${unknown}'; expected one of docs/options.md`;
      faults.push({ index: plain.length, id: String(route.id), field: unknown as keyof Route, message });
    }
    const own = embed(route, handlers, (message) =>
      faults.push({ index: plain.length, id: String(route.id), field: 'handler', message }),
    );
    if (own !== null) found.push(own);
    plain.push(own === null ? (route as Route) : { ...route, handler: own.stored });
  }
  const result = compileTable({ options: prove, check: null, tls: null }, plain, revision);
  if ('faults' in result) faults.push(...result.faults);
  if ('faults' in result || faults.length > 0) throw refusal(faults);
  for (const route of routesOf(result.table)) {
    const problem = targetProblem(route) || (route.options === null ? '' : (runner?.problemOf(route.options) ?? ''));
    if (problem !== '') throw new TypeError(`route '${route.id}' has ${problem}`);
  }
  const embedded = new Map(found.map((own) => [getRoute(result.table, own.route.id)!.id, own]));
  return { routes: result.table, embedded };
}

function refusal(faults: readonly RouteFault[]): TypeError {
  return new TypeError(faultText(faults), { cause: faults });
}

function targetProblem({ pool }: CompiledRoute): string {
  for (const { service, targets } of pool.canary === null ? [pool] : [pool, pool.canary]) {
    const why = service === '' ? "fetch can't speak h2c" : 'nothing registers here';
    const unreachable =
      service === '' ? targets.find(({ target }) => target.http2)?.target.href : `service://${service}`;
    if (unreachable !== undefined) return `the target '${unreachable}': ${why}, use the edge (oo serve)`;
  }
  return '';
}
