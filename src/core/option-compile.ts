import { type RouteOptions, routeOptionNames } from './option-types.ts';

/** Tells of a fault: which option, and one sentence with what it is and what was expected. */
export type OptionFault = (field: keyof RouteOptions, message: string) => void;

/**
 * What a route does beside forwarding, proven and taken apart once. Frozen. Each part belongs to the file of its option and is null where the
 * route does not have it.
 */
export interface CompiledOptions {
  /** As they were written. */
  readonly source: RouteOptions;
}

/**
 * Proves a route's options. Whatever shape the values have, this never throws.
 * @param prefix the route's own, '' for the whole host
 * @param fault is told of each fault; what is returned is of use only if it never was
 * @returns null if it has none
 */
export function compileOptions(source: RouteOptions, prefix: string, fault: OptionFault): CompiledOptions | null {
  void prefix;
  void fault;
  if (!routeOptionNames.some((name) => source[name] !== undefined)) return null;
  return Object.freeze({ source });
}
