import type { ServiceOptions } from '../core/pool-types.ts';
import { compile } from '../core/routes.ts';
import { serviceFaults } from '../core/service.ts';
import type { RouteTable } from '../core/table.ts';
import type { Route } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import type { EdgeServices } from './types.ts';

/** Compiles copies of the routes: what the embedder does to its own afterwards changes nothing. @throws TypeError */
export function compileCopies(routes: Iterable<Route>, revision: number): RouteTable {
  const copies: Route[] = [];
  for (const route of routes) {
    proveNoHandler(route);
    copies.push(copyOf(route, `route '${route?.id}'`));
  }
  const compiled = compile(copies, revision);
  if ('faults' in compiled)
    throw new TypeError(compiled.faults.map(({ message }) => message).join('; '), { cause: compiled.faults });
  return compiled.table;
}

/** @throws TypeError */
export function definitionsOf(services: EdgeServices): Definition[] {
  return Object.entries(services).map(([slug, options]) => {
    const definition = copyOf(options, `service '${slug}'`);
    const faults = serviceFaults(slug, definition);
    if (faults.length > 0)
      throw new TypeError(faults.map(({ message }) => `service '${slug}': ${message}`).join('; '), { cause: faults });
    if (definition.target === undefined)
      throw new TypeError(`service '${slug}' has no target; expected its instances: nothing registers at createEdge`);
    return { ...definition, id: slug };
  });
}

/** What the registry asks of a definition that was proven above. */
export function serviceOptionsOf({ id: _, ...options }: Definition): ServiceOptions {
  return options as ServiceOptions;
}

function copyOf<T>(value: T, what: string): T {
  try {
    return structuredClone(value);
  } catch (cause) {
    throw new TypeError(`${what} holds what is no plain data: ${(cause as Error).message}`, { cause });
  }
}

function proveNoHandler(route: Route): void {
  if (route?.handler !== undefined)
    throw new TypeError(
      `route '${route.id}' has a handler, which createEdge does not run; serve it by createProxy, or by oo serve`,
    );
}
