import { compileRouteBy, type RouteProvers } from './compile.ts';
import { compileCheck } from './health-options.ts';
import { compileOptions } from './option-compile.ts';
import { compileTable, type Draft, draftTable, type RouteTable } from './table.ts';
import { proveTls } from './tls-options.ts';
import type { CompiledRoute, Route, RouteFault, Target } from './types.ts';

// Routes with all that they may have: what the edge and the admin side compile by. The embedded proxy says itself which options it has, so that a
// program without them does not carry them.

const all: RouteProvers = { options: compileOptions, check: compileCheck, tls: proveTls };

/** As `compileRouteBy`. */
export function compileRoute(
  route: Route,
  index = 0,
  targets = new Map<string, Target>(),
): CompiledRoute | RouteFault[] {
  return compileRouteBy(all, route, index, targets);
}

/** As `compileTable`. */
export function compile(routes: Iterable<Route>, revision: number): { table: RouteTable } | { faults: RouteFault[] } {
  return compileTable(all, routes, revision);
}

/** As `draftTable`. */
export function draft(table: RouteTable): Draft {
  return draftTable(all, table);
}
