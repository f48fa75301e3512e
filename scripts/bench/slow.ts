import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECTIONS } from './load.ts';
import type { MoreRoute } from './oo.ts';
import { run } from './process.ts';
import type { Contender } from './proxy.ts';
import { table } from './report.ts';
import { median, spread } from './stats.ts';
import { INSTANCES, SLOW_MS, type Upstream } from './upstream.ts';

const POLICIES = ['round-robin', 'random', 'least-requests', 'power-of-two'];
const RATE = 1_000;

/** What `rate-client.ts` is told, as JSON. */
export interface RateOrder {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly seconds: number;
  readonly perSecond: number;
  /** At most so many requests are under way; others wait, and their time counts. */
  readonly connections: number;
}

/** What it says. */
export interface RateResult {
  readonly latenciesMs: readonly number[];
  /** What an instance answers with → how often. */
  readonly instances: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
}

/** What one policy made of one round. */
interface Outcome {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all requests, the slow instance's, 0 to 1. */
  readonly slow: number;
}

const hostOf = (policy: string) => `slow-${policy}.example.com`;

/** A route for each policy, over ten instances of which one is slow. */
export function slowRoutes({ ports, slowPort }: Upstream): MoreRoute[] {
  const target = [...ports.slice(1), slowPort].map((port) => `http://127.0.0.1:${port}`);
  return POLICIES.map((policy) => ({ id: hostOf(policy), target, balance: { policy }, http: 'allow' }));
}

/**
 * How long requests take with one slow instance of ten, policy by policy, in turns.
 * @returns a section of the report
 * @throws where a request was not answered
 */
export async function measureSlow(
  proxy: Contender,
  upstream: Upstream,
  rounds: number,
  seconds: number,
  dir: string,
): Promise<string> {
  const taken = new Map<string, Outcome[]>(POLICIES.map((policy) => [policy, []]));
  for (const policy of POLICIES) await once(proxy, policy, upstream, 1, dir);
  for (let i = 0; i < rounds; i++) {
    for (const policy of POLICIES) taken.get(policy)!.push(await once(proxy, policy, upstream, seconds, dir));
    const figures = [...taken].map(([policy, each]) => `${policy} ${each.at(-1)!.p99Ms.toFixed(1)}`);
    console.error(`slow ${i + 1}/${rounds}: p99 ${figures.join(', ')} ms`);
  }
  const cell = (values: readonly number[], digits: number) =>
    `${median(values).toFixed(digits)} (${spread(values, digits)})`;
  const rows = [...taken].map(([policy, each]) => [
    policy,
    cell(
      each.map(({ p50Ms }) => p50Ms),
      1,
    ),
    cell(
      each.map(({ p99Ms }) => p99Ms),
      1,
    ),
    `${cell(
      each.map(({ slow }) => slow * 100),
      2,
    )} %`,
  ]);
  const head = ['policy', 'p50 ms', 'p99 ms', 'requests that the slow one got'];
  return `### One slow instance of ${INSTANCES}: ${SLOW_MS} ms more for each answer, ${RATE} requests/s\n\n${table(head, rows)}\n`;
}

async function once(
  proxy: Contender,
  policy: string,
  { slowPort }: Upstream,
  seconds: number,
  dir: string,
): Promise<Outcome> {
  const order: RateOrder = {
    ...{ port: proxy.port, host: hostOf(policy), path: '/who' },
    ...{ seconds, perSecond: RATE, connections: CONNECTIONS },
  };
  const file = join(dir, `rate-${policy}.json`);
  writeFileSync(file, JSON.stringify(order));
  const output = await run([process.execPath, join(import.meta.dirname, 'rate-client.ts'), file]);
  const said = /^BENCH (.*)$/m.exec(output)?.[1];
  if (said === undefined) throw new Error(output);
  const { latenciesMs, instances, errors } = JSON.parse(said) as RateResult;
  if (Object.keys(errors).length > 0) throw new Error(`${policy}, one slow instance: ${JSON.stringify(errors)}`);
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50Ms: at(0.5), p99Ms: at(0.99), slow: (instances[slowPort] ?? 0) / sorted.length };
}
