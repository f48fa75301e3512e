import { createCertificateManager } from '../../src/certs/manager.ts';
import type {
  CertificateManager,
  ManagerEvent,
  ManagerOptions,
  ManagerSettings,
} from '../../src/certs/manager-types.ts';
import {
  type CertificateStore,
  type Challenge,
  challengeKey,
  type ServedCertificate,
  type TicketKey,
} from '../../src/certs/types.ts';
import type { Route } from '../../src/core/types.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { type FakeIssuer, fakeIssuer } from './fake-issuer.ts';
import { type MemoryCertificateStore, memoryCertificateStore } from './memory-certificate-store.ts';
import { random } from './random.ts';

export interface Managed {
  readonly it: CertificateManager;
  readonly store: MemoryCertificateStore;
  readonly clock: FakeClock;
  readonly ca: FakeIssuer;
  readonly local: FakeIssuer;
  /** What the workers have. */
  readonly published: Map<string, ServedCertificate>;
  readonly challenges: Map<string, Challenge>;
  readonly lines: string[];
  readonly events: ManagerEvent[];
  readonly ticketKeys: (readonly TicketKey[])[];
  /** While `failure` is set, telling the workers rejects with it; while `hang` is, they say nothing. */
  workers: { failure?: Error; hang?: boolean };
}

export interface ManageOptions {
  /** Ids, or whole routes. */
  readonly routes?: readonly (string | Partial<Route>)[];
  readonly settings?: ManagerSettings;
  readonly store?: MemoryCertificateStore;
  /** In place of `store`: a real one. */
  readonly real?: CertificateStore;
  readonly clock?: FakeClock;
  readonly ca?: FakeIssuer;
  /** In place of `ca` alone. */
  readonly issuers?: ManagerOptions['issuers'];
  readonly onEvent?: ManagerOptions['onEvent'];
  readonly seed?: number;
  readonly start?: boolean;
}

/** A manager with its surroundings in memory, started unless said otherwise. */
export async function manage(options: ManageOptions = {}): Promise<Managed> {
  const clock = options.clock ?? fakeClock();
  const store = options.store ?? memoryCertificateStore();
  const ca = options.ca ?? fakeIssuer();
  const local = fakeIssuer('local');
  const managed = {
    store,
    clock,
    ca,
    local,
    published: new Map<string, ServedCertificate>(),
    challenges: new Map<string, Challenge>(),
    lines: [] as string[],
    events: [] as ManagerEvent[],
    ticketKeys: [] as (readonly TicketKey[])[],
    workers: {} as { failure?: Error; hang?: boolean },
  };
  const it = createCertificateManager({
    store: options.real ?? store,
    clock,
    local,
    issuers: options.issuers ?? [ca],
    settings: options.settings,
    random: random(options.seed ?? 1),
    log: (line) => managed.lines.push(line),
    onEvent: options.onEvent ?? ((event) => managed.events.push(event)),
    onTicketKeys: (keys) => managed.ticketKeys.push(keys),
    publisher: {
      async certificates({ save, remove }) {
        if (managed.workers.failure) throw managed.workers.failure;
        if (managed.workers.hang) await new Promise(() => {});
        for (const one of save) managed.published.set(one.id, one);
        for (const id of remove) managed.published.delete(id);
      },
      async challenges({ save, remove }) {
        if (managed.workers.failure) throw managed.workers.failure;
        for (const one of save) managed.challenges.set(challengeKey(one), one);
        for (const key of remove) managed.challenges.delete(key);
      },
    },
  });
  if (options.start !== false) await it.start(routesOf(options.routes ?? []));
  return { ...managed, it };
}

export function routesOf(routes: readonly (string | Partial<Route>)[]): Route[] {
  return routes.map((route) => ({
    id: 'app.example.com',
    target: 'http://10.0.0.1',
    ...(typeof route === 'string' ? { id: route } : route),
  }));
}
