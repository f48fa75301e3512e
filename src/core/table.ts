import { compileRouteBy, type RouteProvers } from './compile.ts';
import { type Authority, normalizeAuthority, parseRouteId } from './host.ts';
import { type Owner, SharedMap } from './shared-map.ts';
import type { CompiledRoute, Route, RouteFault, Scheme, Target } from './types.ts';

/** The routes of one host by path: a tree of segments. `route` is the one whose prefix ends here. */
export interface PathNode {
  readonly owner: Owner;
  route: CompiledRoute | undefined;
  children: SharedMap<PathNode> | undefined;
}

/** All routes in compiled form. Never changes; `draftTable` makes the next one. */
export interface RouteTable {
  readonly revision: number;
  /** Number of routes. */
  readonly size: number;
  /** Number of routes whose id names a port. */
  readonly ported: number;
  /** By `host` or `host:port`, in normal form. */
  readonly hosts: SharedMap<PathNode>;
}

/** The candidates for one authority, best first. Belongs to the table that it came from; ask again with the next one. */
export interface HostMatch {
  readonly levels: readonly PathNode[];
  /** Set when every path leads to this route. */
  readonly single: CompiledRoute | undefined;
}

/** A table in the making. */
export interface Draft {
  /** Adds the route, or puts it in the place of the one with the same id. Throws a TypeError for a route that is refused. */
  save(route: Route): void;
  /** Takes the route with this id out, in whatever spelling; unknown ids are none of its business. */
  remove(id: string): void;
  /** The table as it now is; what the draft does later does not touch it. */
  finish(revision: number): RouteTable;
}

const anyHost: Authority = { host: '*', port: 0 };

/** A table without routes, at revision 0. */
export function emptyTable(): RouteTable {
  return Object.freeze({ revision: 0, size: 0, ported: 0, hosts: new SharedMap<PathNode>({}) });
}

/**
 * Proves a whole list of routes. Two routes whose ids have one normal form are a fault.
 * @param prove what they have beside their targets
 * @returns every fault, in the order of the routes, or the table
 */
export function compileTable(
  prove: RouteProvers,
  routes: Iterable<Route>,
  revision: number,
): { table: RouteTable } | { faults: RouteFault[] } {
  const faults: RouteFault[] = [];
  const places = new Map<string, number>();
  const targets = new Map<string, Target>();
  const next = openDraft(emptyTable());
  let index = 0;
  for (const route of routes) {
    const compiled = compileRouteBy(prove, route, index, targets);
    if (Array.isArray(compiled)) faults.push(...compiled);
    else {
      const first = places.get(compiled.id);
      if (first !== undefined) faults.push(duplicate(index, route.id, compiled.id, first));
      else {
        places.set(compiled.id, index);
        next.put(compiled);
      }
    }
    index++;
  }
  return faults.length > 0 ? { faults } : { table: next.finish(revision) };
}

function duplicate(index: number, id: string, normal: string, first: number): RouteFault {
  const message = `id '${id}' is the same as that of route ${first + 1} of this list (${normal}); expected each id once`;
  return { index, id, field: 'id', message };
}

/**
 * Starts the next table from one that stays as it is. A change costs as much as the branches that lead to it, so a draft with
 * one route of 100,000 is a matter of microseconds.
 */
export function draftTable(prove: RouteProvers, table: RouteTable): Draft {
  const { put, remove, finish } = openDraft(table);
  const save = (route: Route) => {
    const compiled = compileRouteBy(prove, route, 0, new Map());
    if (Array.isArray(compiled)) throw new TypeError(compiled.map((fault) => fault.message).join('; '));
    put(compiled);
  };
  return { save, remove, finish };
}

function openDraft(table: RouteTable) {
  let { hosts, size, ported } = table;
  let owner: Owner = {};
  const count = (by: number, port: number) => {
    size += by;
    if (port !== 0) ported += by;
  };
  return {
    put(route: CompiledRoute): void {
      const key = hostKey(route.host, route.port);
      const root = ownPath(hosts.get(key), owner);
      hosts = hosts.set(key, root, owner);
      let node = root;
      for (const segment of segmentsOf(route.prefix)) node = ownChild(node, segment, owner);
      if (node.route === undefined) count(1, route.port);
      node.route = route;
    },
    remove(id: string): void {
      const at = parseRouteId(id);
      if (typeof at === 'string') return;
      const key = hostKey(at.host, at.port);
      const root = hosts.get(key);
      if (root === undefined || find(root, at.prefix) === undefined) return;
      const left = without(root, segmentsOf(at.prefix), 0, owner);
      hosts = left === undefined ? hosts.delete(key, owner) : hosts.set(key, left, owner);
      count(-1, at.port);
    },
    finish(revision: number): RouteTable {
      // A new owner: from here on the draft copies what this table holds.
      owner = {};
      return Object.freeze({ revision, size, ported, hosts });
    },
  };
}

/** The route with this id, in whatever spelling; undefined if there is none. */
export function getRoute(table: RouteTable, id: string): CompiledRoute | undefined {
  const at = parseRouteId(id);
  if (typeof at === 'string') return undefined;
  const root = table.hosts.get(hostKey(at.host, at.port));
  return root === undefined ? undefined : find(root, at.prefix)?.route;
}

/** Every route of the table, in no order that means anything. */
export function* routesOf(table: RouteTable): Generator<CompiledRoute> {
  yield* routesIn([...table.hosts.values()]);
}

/** Every route of one host, likewise. */
export function routesUnder(root: PathNode): Generator<CompiledRoute> {
  return routesIn([root]);
}

function* routesIn(open: PathNode[]): Generator<CompiledRoute> {
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.route !== undefined) yield node.route;
    if (node.children !== undefined) for (const child of node.children.values()) open.push(child);
  }
}

/**
 * Finds the candidates for an authority: `host:port`, `host`, `*.parent:port`, `*.parent`, `*:port`, `*`.
 * @param authority the Host of the request as sent; without a port it means the scheme's; '' if there is none, as HTTP/1.0
 *   allows: then only routes for any host match
 * @returns undefined if it is not a valid authority; levels are empty if no route is for this host
 */
export function findHosts(table: RouteTable, scheme: Scheme, authority: string): HostMatch | undefined {
  const named = authority === '' ? anyHost : normalizeAuthority(authority);
  if (named === undefined) return undefined;
  const { host } = named;
  const port = table.ported === 0 ? 0 : named.port || (scheme === 'https' ? 443 : 80);
  const dot = host.indexOf('.');
  const levels: PathNode[] = [];
  const names = named === anyHost ? ['*'] : dot === -1 ? [host, '*'] : [host, `*${host.slice(dot)}`, '*'];
  for (const name of names) {
    addLevel(levels, port === 0 ? undefined : table.hosts.get(hostKey(name, port)));
    addLevel(levels, table.hosts.get(name));
  }
  const single = levels.length === 1 && levels[0].children === undefined ? levels[0].route : undefined;
  return { levels, single };
}

/** Levels after one with a route for the whole host are never reached. */
function addLevel(levels: PathNode[], node: PathNode | undefined): void {
  if (node !== undefined && levels.at(-1)?.route === undefined) levels.push(node);
}

/**
 * Matches a path (no query): the first level that has a prefix of it, and in that level the longest, on a segment edge.
 * Takes time by the length of the path at most, whatever the number of routes.
 */
export function matchPath(hosts: HostMatch, path: string): CompiledRoute | undefined {
  for (let i = 0; i < hosts.levels.length; i++) {
    const route = longestPrefix(hosts.levels[i], path);
    if (route !== undefined) return route;
  }
  return undefined;
}

function longestPrefix(root: PathNode, path: string): CompiledRoute | undefined {
  let best = root.route;
  if (path.charCodeAt(0) !== 0x2f) return best;
  let children = root.children;
  for (let from = 1; children !== undefined && from < path.length; ) {
    const edge = path.indexOf('/', from);
    const to = edge === -1 ? path.length : edge;
    const node = children.get(path.slice(from, to));
    if (node === undefined) break;
    best = node.route ?? best;
    children = node.children;
    from = to + 1;
  }
  return best;
}

function hostKey(host: string, port: number): string {
  return port === 0 ? host : `${host}:${port}`;
}

function segmentsOf(prefix: string): string[] {
  return prefix === '' ? [] : prefix.slice(1).split('/');
}

function find(root: PathNode, prefix: string): PathNode | undefined {
  let node: PathNode | undefined = root;
  for (const segment of segmentsOf(prefix)) node = node?.children?.get(segment);
  return node?.route === undefined ? undefined : node;
}

function ownPath(node: PathNode | undefined, owner: Owner): PathNode {
  return node?.owner === owner ? node : { owner, route: node?.route, children: node?.children };
}

function ownChild(parent: PathNode, segment: string, owner: Owner): PathNode {
  const children = parent.children ?? new SharedMap<PathNode>(owner);
  const node = ownPath(children.get(segment), owner);
  parent.children = children.set(segment, node, owner);
  return node;
}

/** The tree without the route at these segments; undefined where nothing is left. */
function without(node: PathNode, segments: readonly string[], depth: number, owner: Owner): PathNode | undefined {
  const left = ownPath(node, owner);
  if (depth === segments.length) left.route = undefined;
  else {
    const child = without(node.children!.get(segments[depth])!, segments, depth + 1, owner);
    const children = left.children!;
    left.children =
      child === undefined ? children.delete(segments[depth], owner) : children.set(segments[depth], child, owner);
    if (left.children.size === 0) left.children = undefined;
  }
  return left.route === undefined && left.children === undefined ? undefined : left;
}
