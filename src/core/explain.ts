import { decide } from './decide.ts';
import { nearMisses } from './explain-misses.ts';
import { pathProblem, readingsOf } from './explain-path.ts';
import type { Loss, MatchExplanation, RunnerUp } from './explain-types.ts';
import { normalizeAuthority } from './host.ts';
import { findHosts, matchPath, type PathNode, type RouteTable, routesOf, routesUnder } from './table.ts';
import type { CompiledRoute, Scheme } from './types.ts';

/** So many say enough. */
const mostRunnersUp = 12;

/** A host as the request names it, and the names that routes for it may have, the best first: `findHosts` walks the same. */
export interface AskedNames {
  /** '' where it names none. */
  readonly host: string;
  /** The request's, or the scheme's. */
  readonly port: number;
  readonly names: readonly string[];
}

/** A host of the table that is for the request's, whatever its paths. */
interface Level {
  /** 0 for the best. */
  readonly rank: number;
  readonly name: string;
  readonly node: PathNode;
}

/**
 * What becomes of a request by a table: the data path's decision, with its reasons. Takes time by the number of routes of the request's host,
 * where no route takes it, or some name ports, by the number of all: for people's questions, not for requests.
 * @param authority as `decide` @param path as sent, escapes and all, without the query
 */
export function explainMatch(table: RouteTable, scheme: Scheme, authority: string, path: string): MatchExplanation {
  const decision = decide(table, scheme, authority, path);
  const asked = askedNames(scheme, authority);
  const none = { runnersUp: [], more: 0, readings: [], misses: [] };
  if (asked === undefined) {
    const why = `'${authority}' is not one valid host, with or without a port`;
    return { decision, why, ...none };
  }
  const levels = levelsOf(table, asked);
  const winner = decision.kind === 'forward' ? decision.route : undefined;
  const runners = runnersUp(table, asked, levels, path, winner).sort(nearer);
  const listed = {
    runnersUp: runners.slice(0, mostRunnersUp).map(({ id, loss, why }) => ({ id, loss, why })),
    more: Math.max(0, runners.length - mostRunnersUp),
  };
  const hosts = findHosts(table, scheme, authority)!;
  const idOf = (reading: string) => (hosts.single ?? matchPath(hosts, reading))?.id ?? '';
  const readings = readingsOf(path).map((reading) => ({ path: reading, route: idOf(reading) }));
  if (winner !== undefined) return { decision, why: whyItWins(asked, winner, path), ...listed, readings, misses: [] };
  if (decision.kind === 'reply' && decision.code === 'OO_BAD_PATH') {
    const why = pathProblem(path) ?? whyAmbiguous(path, readings, idOf(path));
    return { decision, why, ...listed, readings, misses: [] };
  }
  const misses = nearMisses(table, asked, levels, path);
  const what = asked.host === '' ? 'no host' : asked.host;
  const why =
    levels.length === 0 ? `no route is for ${what}` : `no route of ${what} has a prefix that is a part of ${path}`;
  return { decision, why, ...listed, readings, misses };
}

/** @returns undefined if it is no valid authority */
export function askedNames(scheme: Scheme, authority: string): AskedNames | undefined {
  if (authority === '') return { host: '', port: portOf(0, scheme), names: ['*'] };
  const named = normalizeAuthority(authority);
  if (named === undefined) return undefined;
  const { host } = named;
  const dot = host.indexOf('.');
  const names = dot === -1 ? [host, '*'] : [host, `*${host.slice(dot)}`, '*'];
  return { host, port: portOf(named.port, scheme), names };
}

function portOf(named: number, scheme: Scheme): number {
  return named || (scheme === 'https' ? 443 : 80);
}

function levelsOf(table: RouteTable, { names, port }: AskedNames): Level[] {
  const keys = names.flatMap((name) => [`${name}:${port}`, name]);
  return keys.flatMap((name, rank) => {
    const node = table.hosts.get(name);
    return node === undefined ? [] : [{ rank, name, node }];
  });
}

/** Whether a prefix is one of a path, on a segment edge. */
export function hasPrefix(path: string, prefix: string): boolean {
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
}

/** With what it is sorted by. */
interface Runner extends RunnerUp {
  /** 0: it would have taken it. */
  readonly order: number;
  readonly rank: number;
  /** Characters of its prefix that the path begins with. */
  readonly common: number;
}

function nearer(a: Runner, b: Runner): number {
  return a.order - b.order || a.rank - b.rank || b.common - a.common || (a.id < b.id ? -1 : 1);
}

const orders: Readonly<Record<Loss, number>> = { shorter: 0, host: 0, edge: 1, case: 1, port: 2, label: 2, path: 3 };

function runnersUp(
  table: RouteTable,
  asked: AskedNames,
  levels: readonly Level[],
  path: string,
  winner: CompiledRoute | undefined,
): Runner[] {
  const own = winner === undefined ? undefined : levels.find(({ name }) => name === hostOf(winner));
  const runners: Runner[] = [];
  const add = (route: CompiledRoute, loss: Loss, rank: number, why: string) =>
    runners.push({ id: route.id, loss, why, order: orders[loss], rank, common: commonStart(route.prefix, path) });
  for (const { rank, name, node } of levels) {
    for (const route of routesUnder(node)) {
      if (route === winner) continue;
      const { prefix } = route;
      if (!hasPrefix(path, prefix)) {
        const loss = mismatch(path, prefix);
        add(route, loss, rank, mismatchText(loss, path, prefix));
      } else if (own === undefined || winner === undefined) {
        // The path has several readings, and they do not agree.
        add(route, 'path', rank, `it would take ${path} as it stands`);
      } else if (own.rank === rank) {
        add(
          route,
          'shorter',
          rank,
          `${prefix === '' ? 'it takes all paths' : `it takes ${prefix}`}, but ${winner.prefix} is longer`,
        );
      } else add(route, 'host', rank, `its host ${name} is less exact than ${own.name}`);
    }
  }
  for (const { route, loss, why } of strangers(table, asked, path)) add(route, loss, levels.length, why);
  return runners;
}

/** How a path misses a prefix. */
function mismatch(path: string, prefix: string): 'edge' | 'case' | 'path' {
  if (path.startsWith(prefix)) return 'edge';
  return hasPrefix(path.toLowerCase(), prefix.toLowerCase()) ? 'case' : 'path';
}

function mismatchText(loss: 'edge' | 'case' | 'path', path: string, prefix: string): string {
  if (loss === 'edge') return `${prefix} ends inside a segment of ${path}: a prefix is whole segments`;
  if (loss === 'case') return `${path} has ${prefix} in another case: paths are compared as they are`;
  return `${prefix} is not where ${path} begins`;
}

/** Routes that are for no such host, and look as if they were. */
function* strangers(
  table: RouteTable,
  { host, port, names }: AskedNames,
  path: string,
): Generator<{ route: CompiledRoute; loss: Loss; why: string }> {
  if (table.ported > 0) {
    for (const route of routesOf(table)) {
      if (route.port === 0 || route.port === port || !names.includes(route.host)) continue;
      if (!hasPrefix(path, route.prefix)) continue;
      yield { route, loss: 'port', why: `its id names the port ${route.port}; the request is for ${port}` };
    }
  }
  for (const name of otherWildcards(host)) {
    for (const key of [`${name}:${port}`, name]) {
      const node = table.hosts.get(key);
      const route = node && matchPath({ levels: [node], single: undefined }, path);
      if (route === undefined) continue;
      const left = name === `*.${host}` ? 'none is left' : 'more than one is left';
      yield { route, loss: 'label', why: `${name} covers exactly one label: in ${host} ${left}` };
    }
  }
}

/** `a.b.example.com` → `*.example.com`, `*.com`, and `*.a.b.example.com`: wildcards that look as if they covered it. */
function otherWildcards(host: string): string[] {
  if (host === '' || host.startsWith('[')) return [];
  const labels = host.split('.');
  return [`*.${host}`, ...labels.slice(2).map((_, i) => `*.${labels.slice(i + 2).join('.')}`)];
}

function hostOf({ host, port }: CompiledRoute): string {
  return port === 0 ? host : `${host}:${port}`;
}

function commonStart(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i;
}

function whyItWins({ host }: AskedNames, route: CompiledRoute, path: string): string {
  const name = hostOf(route);
  const by =
    route.host === '*'
      ? `${name} is for any host, and none that is nearer takes it`
      : route.host.startsWith('*.')
        ? `${name} covers ${host}, and no exact host takes it`
        : `${name} is the host itself`;
  const where =
    route.prefix === ''
      ? 'it takes all paths that no longer prefix takes'
      : `${route.prefix} is the longest prefix of ${path} that it has`;
  return `${by}; ${where}`;
}

function whyAmbiguous(path: string, readings: MatchExplanation['readings'], own: string): string {
  const other = readings.find(({ route }) => route !== own);
  const to = (id: string) => (id === '' ? 'no route' : id);
  return `${path} can be read as ${other?.path ?? 'another path'} as well, and that is for ${to(other?.route ?? '')}, not for ${to(own)}`;
}
