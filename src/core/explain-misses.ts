import type { AskedNames } from './explain.ts';
import { nearest } from './nearest.ts';
import { type PathNode, type RouteTable, routesOf, routesUnder } from './table.ts';

const mostPrefixes = 5;
const mostHosts = 5;

/**
 * What is near to a request that no route takes, each one line; the most likely first.
 * @param levels the hosts of the table that are for the request's
 */
export function nearMisses(
  table: RouteTable,
  asked: AskedNames,
  levels: readonly { readonly name: string; readonly node: PathNode }[],
  path: string,
): string[] {
  if (table.size === 0) return ['there is no route at all yet'];
  if (levels.length > 0) return levels.map(({ name, node }) => prefixMiss(name, node, path));
  return hostMisses(table, asked);
}

function prefixMiss(name: string, node: PathNode, path: string): string {
  const prefixes = [...routesUnder(node)].map(({ prefix }) => prefix).sort();
  const shown = prefixes.slice(0, mostPrefixes).join(', ');
  const more = prefixes.length > mostPrefixes ? ` and ${prefixes.length - mostPrefixes} more` : '';
  // As many segments of the path as a prefix has are what may be misspelt.
  const meant = [1, 2, 3].map((count) => nearest(path.split('/', count + 1).join('/'), prefixes)).find(Boolean);
  return `${name} has routes, but only under ${shown}${more}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function hostMisses(table: RouteTable, { host, port }: AskedNames): string[] {
  const misses: string[] = [];
  const hosts = new Set<string>();
  const ports = new Set<number>();
  for (const route of routesOf(table)) {
    hosts.add(route.host);
    if (route.host === host && route.port !== port) ports.add(route.port);
  }
  if (ports.size > 0) {
    const list = [...ports].sort((a, b) => a - b).slice(0, mostHosts);
    misses.push(`${host} has routes, but only for port ${list.join(', ')}`);
  }
  if (host === '') return [...misses, 'a request that names no host is taken by routes for any host (*) only'];
  if (hosts.has(`*.${host}`)) misses.push(`*.${host} exists: it covers hosts under ${host}, not ${host} itself`);
  const wide = host.split('.').flatMap((_, i, labels) => (i < 2 ? [] : [`*.${labels.slice(i).join('.')}`]));
  for (const name of wide.filter((one) => hosts.has(one)))
    misses.push(`${name} exists: it covers one label, and ${host} has more`);
  const other = host.startsWith('www.') ? host.slice(4) : `www.${host}`;
  if (hosts.has(other)) misses.push(`${other} exists, and ${host} does not`);
  hosts.delete(host);
  hosts.delete(other);
  const meant = meantHost(host, hosts);
  if (meant !== undefined) misses.push(`did you mean ${meant}?`);
  const parent = host.slice(host.indexOf('.'));
  const beside = parent.includes('.', 1) ? [...hosts].filter((name) => name !== meant && name.endsWith(parent)) : [];
  if (beside.length > 0) {
    const shown = beside.sort().slice(0, mostHosts).join(', ');
    const more = beside.length > mostHosts ? ` and ${beside.length - mostHosts} more` : '';
    misses.push(`other hosts of ${parent.slice(1)}: ${shown}${more}`);
  }
  return misses;
}

/** Of hosts beside it, by their first labels; else by the whole. Wildcards are no host that anybody means. */
function meantHost(host: string, hosts: ReadonlySet<string>): string | undefined {
  const known = [...hosts].filter((name) => !name.startsWith('*'));
  const dot = host.indexOf('.');
  const parent = dot < 0 ? '' : host.slice(dot);
  const isBeside = (name: string) => parent !== '' && name.slice(name.indexOf('.')) === parent;
  const labels = known.filter(isBeside).map((name) => name.slice(0, name.length - parent.length));
  const label = nearest(host.slice(0, dot), labels);
  if (label !== undefined) return label + parent;
  const others = known.filter((name) => !isBeside(name));
  return nearest(host, alike(host, others));
}

/** Those that begin and end as a word does, for half of it: to measure each of 100,000 would take a second. */
function* alike(word: string, names: Iterable<string>): Generator<string> {
  for (const name of names) {
    const most = Math.min(word.length, name.length);
    let start = 0;
    while (start < most && word[start] === name[start]) start++;
    let end = 0;
    while (end < most - start && word[word.length - 1 - end] === name[name.length - 1 - end]) end++;
    if (2 * (start + end) >= most) yield name;
  }
}
