import { type Configuration, createConfiguration } from '../../src/admin/configuration.ts';
import { createRollouts } from '../../src/admin/rollout.ts';
import type {
  DeployRequest,
  RollbackRequest,
  RolloutOutcome,
  RolloutStep,
  Rollouts,
} from '../../src/admin/rollout-types.ts';
import type { WorkerFigures } from '../../src/core/figures.ts';
import { noAnswer, type ProbeResult } from '../../src/core/health-probe.ts';
import type { ServiceOptions } from '../../src/core/pool-types.ts';
import type { Route } from '../../src/core/types.ts';
import type { Probe } from '../../src/services/probe-types.ts';
import { createRegistry } from '../../src/services/registry.ts';
import type { Registry } from '../../src/services/registry-types.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { type MemoryRegistryStore, memoryRegistryStore } from './memory-registry-store.ts';
import { type MemoryStore, memoryStore } from './memory-store.ts';

export const by = { actor: 'test' };
export const refused: Partial<ProbeResult> = { error: 'refused', detail: 'connect ECONNREFUSED' };

export interface RolloutBench {
  readonly rollouts: Rollouts;
  readonly clock: FakeClock;
  readonly store: MemoryStore;
  readonly configuration: Configuration;
  readonly registry: Registry;
  readonly registryStore: MemoryRegistryStore;
  readonly route: (id: string) => Route | undefined;
  readonly service: (slug: string) => ServiceOptions | undefined;
  /** What each probe met: `GET http://…/up at 1000`, with the ms since the start. */
  readonly probes: string[];
  /** What an address answers; default: 200. */
  readonly answers: Map<string, Partial<ProbeResult> | 'hangs'>;
  /** Requests under way, by instance key. */
  readonly inFlight: Map<string, number>;
  readonly logged: string[];
  /** Called before each publication of routes. */
  onPublish: () => void;
  deploy(request: DeployRequest, signal?: AbortSignal): Promise<Ended>;
  rollback(request: RollbackRequest): Promise<Ended>;
}

export interface Ended {
  readonly outcome?: RolloutOutcome;
  readonly error?: Error & { code?: string; hint?: string; status?: number };
  /** `check http://…: GET /`. */
  readonly steps: readonly string[];
  readonly tookMs: number;
}

/** Rollouts over a configuration and a registry in memory, on a clock that only tests move. */
export async function rolloutBench(routes: Route[] = []): Promise<RolloutBench> {
  const clock = fakeClock();
  const store = memoryStore(routes, 1);
  const probes: string[] = [];
  const logged: string[] = [];
  const answers = new Map<string, Partial<ProbeResult> | 'hangs'>();
  const inFlight = new Map<string, number>();
  const registryStore = memoryRegistryStore();
  const registry = createRegistry({
    ...{ store: registryStore, publish: async () => {}, clock, log: () => {} },
    settings: { self: { url: 'http://self' } },
  });
  await registry.start();
  const configuration = await createConfiguration({
    ...{ store, publish: async () => bench.onPublish() },
    publishServices: (definitions) => registry.setDefinitions(definitions),
  });
  const startedAt = clock.now();
  const probe: Probe = (check, { target }, signal) => {
    const asked =
      check.kind === 'http' ? `${check.method} ${target.href}${check.path}` : `${check.kind} ${target.href}`;
    probes.push(`${asked} at ${clock.now() - startedAt}`);
    const answer = answers.get(target.href);
    if (answer !== 'hangs') return Promise.resolve({ ...noAnswer, status: 200, tookMs: 3, ...answer });
    return new Promise((resolve) => {
      const cancel = clock.after(check.timeoutMs, () =>
        resolve({ ...noAnswer, error: 'timeout', tookMs: check.timeoutMs }),
      );
      signal.addEventListener('abort', () => {
        cancel();
        resolve(undefined);
      });
    });
  };
  const figures = async (): Promise<WorkerFigures[]> => {
    const instances = [...inFlight].map(([key, count]) => instance(key, count));
    // Two workers share them.
    return [
      { pools: [], instances: instances.map((one) => ({ ...one, inFlight: Math.ceil(one.inFlight / 2) })) },
      { pools: [], instances: instances.map((one) => ({ ...one, inFlight: Math.floor(one.inFlight / 2) })) },
    ];
  };
  const log = (line: string) => void logged.push(line);
  const rollouts = createRollouts({
    ...{ configuration, registry, probe, figures, log },
    now: () => clock.now(),
    after: (ms, run) => clock.after(ms, run),
  });

  async function ended(begin: (onStep: (step: RolloutStep) => void) => ReturnType<Rollouts['deploy']>): Promise<Ended> {
    const steps: string[] = [];
    const from = clock.now();
    let result: Pick<Ended, 'outcome' | 'error'> | undefined;
    const say = ({ step, target, detail }: RolloutStep) => void steps.push(`${step} ${target}: ${detail}`);
    const running = begin(say).then(({ done }) => done);
    running.then(
      (outcome) => {
        result = { outcome };
      },
      (error) => {
        result = { error };
      },
    );
    for (let passed = 0; passed < 120_000; passed += 50) {
      await clock.flush();
      if (result !== undefined) return { ...result, steps, tookMs: clock.now() - from };
      await clock.advance(50);
    }
    throw new Error('it does not end');
  }

  const bench: RolloutBench = {
    ...{ rollouts, clock, store, configuration, registry, registryStore, probes, answers, inFlight, logged },
    onPublish: () => {},
    route: (id) => configuration.get(id),
    service(slug) {
      const { id: _, ...options } = registry.definition(slug) ?? { id: '' };
      return registry.definition(slug) && (options as ServiceOptions);
    },
    deploy: (request, signal = new AbortController().signal) =>
      ended((onStep) => rollouts.deploy(request, by, onStep, signal)),
    rollback: (request) => ended((onStep) => rollouts.rollback(request, by, onStep, new AbortController().signal)),
  };
  return bench;
}

function instance(key: string, inFlight: number) {
  return { key, requests: 10, failures: 0, inFlight, open: inFlight, breaker: '', latencyMs: 1 };
}
