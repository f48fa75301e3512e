import { decide } from './decide.ts';
import { failures } from './failure.ts';
import { compileHandler, handlerLabel } from './option-handler.ts';
import type { TargetSpec } from './pool-types.ts';
import type { RouteTable } from './table.ts';
import type { Decision, Route, Scheme } from './types.ts';

/** What is kept of a request that was seen: no query, no fields, no body. */
export interface RequestHead {
  readonly scheme: Scheme;
  readonly method: string;
  /** As sent. */
  readonly host: string;
  readonly path: string;
}

/** A configuration, as far as it decides where requests go. */
export interface Routing {
  readonly table: RouteTable;
  /** What a service's definition says of its instances; undefined: it leaves that to those that register, or there is no definition. */
  serviceTarget?(slug: string): TargetSpec | undefined;
}

/** Where a request goes, in words: `app.example.com → http://10.0.0.2:3000`. */
export interface ImpactExample {
  readonly method: string;
  /** `https://app.example.com/api/users` */
  readonly url: string;
  /** How many of the requests that were seen had this method, host and path. */
  readonly requests: number;
  readonly from: string;
  readonly to: string;
}

/** What a change of the configuration does to the requests that were seen lately. */
export interface Impact {
  /** How many were looked at. */
  readonly requests: number;
  /** How many go elsewhere: to other targets, to a redirect, to a failure. */
  readonly retargeted: number;
  /** How many more go to the same targets by another route, or by one with other options. */
  readonly altered: number;
  /** Of those that go elsewhere, the most frequent first; where there are none, of the others. */
  readonly examples: readonly ImpactExample[];
}

/** How many heads a worker keeps, where the stored settings say nothing. */
export const defaultRecentRequests = 2_000;

const mostExamples = 10;

/** Runs heads through the table before and after a change. */
export function impactOf(before: Routing, after: Routing, heads: Iterable<RequestHead>): Impact {
  const sums = { requests: 0, retargeted: 0, altered: 0 };
  const retargeted: ImpactExample[] = [];
  const altered: ImpactExample[] = [];
  for (const { head, count } of counted(heads)) {
    const { scheme, method, host, path } = head;
    const old = decide(before.table, scheme, host, path);
    const now = decide(after.table, scheme, host, path);
    sums.requests += count;
    const example = () => {
      const [from, to] = [whereText(before, old), whereText(after, now)];
      return { method, url: `${scheme}://${host}${path}`, requests: count, from, to };
    };
    if (whereKey(before, old) !== whereKey(after, now)) {
      sums.retargeted += count;
      retargeted.push(example());
    } else if (!isSameRoute(old, now)) {
      sums.altered += count;
      altered.push(example());
    }
  }
  const examples = (retargeted.length > 0 ? retargeted : altered).sort((a, b) => b.requests - a.requests);
  return { ...sums, examples: examples.slice(0, mostExamples) };
}

/** Equal heads are decided once. */
function counted(heads: Iterable<RequestHead>): Iterable<{ head: RequestHead; count: number }> {
  const counts = new Map<string, { head: RequestHead; count: number }>();
  for (const head of heads) {
    const key = `${head.scheme} ${head.method} ${head.host} ${head.path}`;
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { head, count: 1 });
    else known.count++;
  }
  return counts.values();
}

/** Two that are equal lead to the same. */
function whereKey(routing: Routing, decision: Decision): string {
  if (decision.kind === 'reply') return decision.code;
  const { route } = decision.route;
  const { redirect, respond, maintenance, rollout, handler, target } = route;
  const stop = rollout?.gate?.state === 'stopped' ? rollout.gate : undefined;
  const answer = { maintenance: maintenance === false ? undefined : maintenance, redirect, respond, stop };
  if (redirect !== undefined || respond !== undefined) return JSON.stringify(answer);
  // Which program it is, is how it goes there, not where: another version of it alters the request, and no more.
  if (handler !== undefined && target === undefined) return JSON.stringify([answer, 'handler']);
  const { stripPrefix, addPrefix } = route;
  const rewriting = { stripPrefix: stripPrefix === true ? decision.route.prefix : stripPrefix, addPrefix };
  const canary = rollout?.canary && { ...rollout.canary, target: membersOf(routing, rollout.canary.target) };
  return JSON.stringify([answer, rewriting, membersOf(routing, target), canary]);
}

function membersOf(routing: Routing, target: TargetSpec | undefined): TargetSpec | undefined {
  const slug = slugOf(target);
  return slug === undefined ? target : (routing.serviceTarget?.(slug) ?? target);
}

function slugOf(target: TargetSpec | undefined): string | undefined {
  return typeof target === 'string' ? /^service:\/\/([^/]+)/.exec(target)?.[1] : undefined;
}

/** Whose it is, and what certificate its host has, is nothing to a request. */
function isSameRoute(a: Decision, b: Decision): boolean {
  if (a.kind === 'reply' || b.kind === 'reply') return a === b;
  if (a.route.id !== b.route.id) return false;
  return a.route.route === b.route.route || behaviourOf(a.route.route) === behaviourOf(b.route.route);
}

function behaviourOf({ owner: _, keyType: __, certificate: ___, handler, ...route }: Route): string {
  const said = handler === undefined ? route : { ...route, handler: compileHandler(handler, () => {})?.version };
  const fields = Object.entries(said).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(fields);
}

/** `app.example.com → http://10.0.0.2:3000`, `404 OO_NO_ROUTE`. */
function whereText(routing: Routing, decision: Decision): string {
  if (decision.kind === 'reply') return `${failures[decision.code].status} ${decision.code}`;
  const { id, route } = decision.route;
  return `${id} → ${targetText(routing, route)}`;
}

function targetText(routing: Routing, route: Route): string {
  const { redirect, respond, maintenance, rollout, target, handler } = route;
  if (rollout?.gate?.state === 'stopped') return 'stopped';
  if (maintenance !== undefined && maintenance !== false) return 'maintenance';
  if (redirect !== undefined) return `redirect to ${typeof redirect === 'string' ? redirect : redirect.to}`;
  if (respond !== undefined) return `answer ${typeof respond === 'string' ? 200 : (respond.status ?? 200)}`;
  const by = handler === undefined ? '' : `handler ${handlerLabel(handler)}`;
  if (target === undefined) return by;
  const members = membersOf(routing, target);
  const shown = members === target ? specText(target) : `${specText(target)} (${specText(members)})`;
  return by === '' ? shown : `${by} → ${shown}`;
}

function specText(target: TargetSpec | undefined): string {
  if (target === undefined || typeof target === 'string') return target ?? '';
  return target.map((one) => (typeof one === 'string' ? one : one.url)).join(', ');
}
