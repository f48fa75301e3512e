import { faultText } from '../core/fault-text.ts';
import type { Handler, HandlerOptions } from '../core/handler-types.ts';
import type { ServiceOptions } from '../core/pool-types.ts';
import { compile } from '../core/routes.ts';
import { serviceFaults } from '../core/service.ts';
import { getRoute } from '../core/table.ts';
import type { Route, RouteFault } from '../core/types.ts';
import { type Embedded, embed } from '../proxy/embed.ts';
import type { Definition } from '../services/types.ts';
import type { EdgeTable } from './handlers.ts';
import { proveMapping, show } from './shape.ts';
import type { EdgeRoute, EdgeServices } from './types.ts';

/** Numbers of functions: another function is another version of a route's handler. */
const versions = new WeakMap<Handler, number>();
let lastVersion = 0;

/** Compiles copies of the routes: what the embedder does to its own afterwards changes nothing. @throws TypeError */
export function compileCopies(
  routes: Iterable<EdgeRoute>,
  revision: number,
  handlers: Readonly<Record<string, Handler>> | undefined,
): EdgeTable {
  if (typeof routes !== 'object' || typeof routes?.[Symbol.iterator] !== 'function')
    throw new TypeError(`routes is ${show(routes)}; expected a list such as [{ id, target }]`);
  const copies: Route[] = [];
  const found: { readonly index: number; readonly handler: Handler }[] = [];
  const faults: RouteFault[] = [];
  for (const route of routes) {
    const index = copies.length;
    proveMapping(`routes[${index}]`, route, 'such as { id, target }');
    const own = embed(route, handlers, (message) =>
      faults.push({ index, id: String(route.id), field: 'handler', message }),
    );
    if (own !== null) found.push({ index, handler: own.handler });
    const plain = own === null ? route : { ...route, handler: storedAs(own) };
    copies.push(copyOf(plain as Route, `route '${route.id}'`));
  }
  const compiled = compile(copies, revision);
  if ('faults' in compiled) faults.push(...compiled.faults);
  if ('faults' in compiled || faults.length > 0) throw new TypeError(faultText(faults), { cause: faults });
  const { table } = compiled;
  const functions = found.map(({ index, handler }) => [getRoute(table, copies[index].id)!.id, handler] as const);
  return { table, handlers: new Map(functions) };
}

/** What stands for a function: its `source` tells versions apart, and is run by nobody. */
function storedAs({ handler, stored }: Embedded): HandlerOptions {
  const version = versions.get(handler) ?? ++lastVersion;
  versions.set(handler, version);
  const options = typeof stored === 'string' ? { file: stored } : stored;
  return { ...options, source: `function ${version}` };
}

/** @throws TypeError */
export function definitionsOf(services: EdgeServices): Definition[] {
  proveMapping('services', services, 'such as { users: { target } }');
  return Object.entries(services).map(([slug, options]) => {
    proveMapping(`service '${slug}'`, options, 'such as { target }');
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
