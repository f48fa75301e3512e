import { openGate } from '../core/admission-gate.ts';
import type { WorkerFigures } from '../core/figures.ts';
import { nearest } from '../core/nearest.ts';
import type { ServiceOptions, TargetSpec } from '../core/pool-types.ts';
import type { Probe } from '../services/probe-types.ts';
import type { Clock } from '../services/types.ts';
import { type Endpoint, watchDrain } from './rollout-drain.ts';
import { Gates } from './rollout-gate.ts';
import {
  deployed,
  Endpoints,
  isOwn,
  presentTarget,
  returned,
  sameSpec,
  specOf,
  specText,
  withCanary,
} from './rollout-plan.ts';
import { checkOf, checkText, waitHealthy } from './rollout-probe.ts';
import {
  byText,
  type RolloutConfiguration,
  type RolloutRegistry,
  refuseUnsaved,
  type Subject,
  Subjects,
} from './rollout-subject.ts';
import {
  type DeployRequest,
  type GateOutcome,
  type OnStep,
  type PauseRequest,
  type RollbackRequest,
  type RolloutOutcome,
  RolloutRefusal,
  type RolloutRun,
  type RolloutStep,
  type Rollouts,
  type RolloutTimes,
  type StopRequest,
} from './rollout-types.ts';
import { normalId } from './schema.ts';
import type { By } from './store.ts';

const defaultDeadlineMs = 30_000;
const rollbackDeadlineMs = 10_000;
const defaultDrainMs = 30_000;

export interface RolloutsOptions extends Clock {
  readonly configuration: RolloutConfiguration;
  readonly registry: RolloutRegistry;
  readonly probe: Probe;
  /** The figures of each worker. */
  readonly figures: () => Promise<readonly WorkerFigures[]>;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** What leads from how a name is now to how it shall be. */
interface Plan {
  readonly subject: Subject;
  /** `deploy`, `rollback`: for who comes second. */
  readonly what: string;
  /** Null: nothing new is asked for requests. */
  readonly check: { readonly target: TargetSpec; readonly path: string | undefined } | null;
  /** @throws RolloutRefusal where it has become impossible meanwhile */
  readonly next: (now: ServiceOptions) => ServiceOptions;
  /** Ids of routes to be made. */
  readonly hosts: readonly string[];
  readonly times: RolloutTimes;
  readonly by: By;
}

/** @see Rollouts */
export function createRollouts(options: RolloutsOptions): Rollouts {
  return new Runner(options);
}

class Runner implements Rollouts {
  readonly #options: RolloutsOptions;
  readonly #subjects: Subjects;
  readonly #endpoints: Endpoints;
  readonly #gates: Gates;
  /** What is under way, by the pool's name. */
  readonly #running = new Map<string, { readonly what: string; readonly since: number }>();

  constructor(options: RolloutsOptions) {
    const { configuration, registry, now, log } = options;
    this.#options = options;
    this.#subjects = new Subjects(configuration, registry);
    this.#endpoints = new Endpoints(this.#subjects, configuration);
    this.#gates = new Gates({ subjects: this.#subjects, now, log });
  }

  async deploy(request: DeployRequest, by: By, onStep: OnStep, signal: AbortSignal): Promise<RolloutRun> {
    const { name, targets = [], percent, header, hosts = [], health: path } = request;
    const isCanary = percent !== undefined || header !== undefined;
    const subject = targets.length > 0 && !isCanary ? this.#subjects.of(name) : this.#subjects.existing(name);
    const now = subject.current();
    const target = targets.length > 0 ? specOf(targets) : isCanary ? now?.rollout?.canary?.target : undefined;
    if (target === undefined) throw noTarget(subject, isCanary);
    const before = presentTarget(subject, this.#subjects);
    if (isCanary && before(now ?? {}) === undefined) throw noTarget(subject, false);
    if (percent === 0 && header === undefined) throw emptyCanary(subject);
    const next = isCanary ? withCanary(shape({ target, percent, header })) : deployed(subject, target, before);
    const fault = subject.fault(next(now ?? {}));
    if (fault !== undefined) throw new RolloutRefusal(400, 'OO_BAD_REQUEST', `${fault}.`, 'Nothing was changed.');
    const made = this.#hostsOf(subject, hosts);
    return this.#begin(
      { subject, what: 'deploy', check: { target, path }, next, hosts: made, times: request, by },
      onStep,
      signal,
    );
  }

  async rollback(request: RollbackRequest, by: By, onStep: OnStep, signal: AbortSignal): Promise<RolloutRun> {
    const subject = this.#subjects.existing(request.name);
    const { canary, previous } = subject.current()?.rollout ?? {};
    if (canary === undefined && previous === undefined) {
      const hint = `oo deploy ${subject.name} --target URL leads it elsewhere; oo rollback has something to go back to then.`;
      throw new RolloutRefusal(
        409,
        'OO_NO_PREVIOUS',
        `${subject.name} has neither a canary nor a previous target.`,
        hint,
      );
    }
    const times = { ...request, deadlineMs: request.deadlineMs ?? rollbackDeadlineMs };
    const common = { subject, what: 'rollback', hosts: [], times, by };
    const steady = (now: ServiceOptions) => {
      const { canary: canaryNow, previous: previousNow } = now.rollout ?? {};
      if ((canary === undefined) !== (canaryNow === undefined) || !isSame(previous, previousNow))
        throw changed(subject);
      return now;
    };
    if (canary !== undefined) {
      const drop = withCanary(undefined);
      return this.#begin({ ...common, check: null, next: (now) => drop(steady(now)) }, onStep, signal);
    }
    const back = returned(subject, presentTarget(subject, this.#subjects));
    const check = { target: previous as TargetSpec, path: undefined };
    return this.#begin({ ...common, check, next: (now) => back(steady(now)) }, onStep, signal);
  }

  pause({ name, ...given }: PauseRequest, by: By): Promise<GateOutcome> {
    return this.#gates.set(name, { ...openGate, ...shape(given), state: 'paused' }, by);
  }

  resume({ name }: { readonly name: string }, by: By): Promise<GateOutcome> {
    return this.#gates.set(name, null, by);
  }

  stop({ name, message = '', forMs }: StopRequest, by: By): Promise<GateOutcome> {
    const until = forMs === undefined ? 0 : this.#options.now() + forMs;
    return this.#gates.set(name, { ...openGate, state: 'stopped', message, until }, by);
  }

  /** Routes to the service that are to be made. @throws RolloutRefusal for one that leads elsewhere */
  #hostsOf(subject: Subject, hosts: readonly string[]): string[] {
    if (hosts.length > 0 && subject.kind === 'route') {
      const hint = `Leave --host out: ${subject.name} is a route itself. A service has a name without a dot.`;
      throw new RolloutRefusal(400, 'OO_BAD_REQUEST', `hosts is for services, and ${subject.name} is a route.`, hint);
    }
    const target = `service://${subject.name}`;
    const ids = hosts.map((host) => {
      const id = normalId(host);
      if (id !== undefined) return id;
      const hint = 'Expected a host such as app.example.com, or a host and a path.';
      throw new RolloutRefusal(
        400,
        'OO_BAD_REQUEST',
        `The host '${host.slice(0, 100).replace(/\p{C}/gu, '?')}' is none.`,
        hint,
      );
    });
    return [...new Set(ids)].filter((id) => {
      const route = this.#options.configuration.get(id);
      if (route === undefined) return true;
      if (route.target !== undefined && sameSpec(route.target, target)) return false;
      const hint = `Nothing was changed. oo deploy ${id} --target ${target} leads it here.`;
      throw new RolloutRefusal(
        409,
        'OO_HOST_TAKEN',
        `The route ${id} leads to ${specText(route.target ?? 'an answer of its own')}.`,
        hint,
      );
    });
  }

  #begin(plan: Plan, onStep: OnStep, signal: AbortSignal): RolloutRun {
    const { subject, what } = plan;
    const other = this.#running.get(subject.pool);
    const now = this.#options.now();
    if (other !== undefined) {
      const seconds = Math.max(0, Math.round((now - other.since) / 1_000));
      const hint = 'Wait for it to end, or end it with Ctrl-C where it runs: nothing is changed before the swap.';
      throw new RolloutRefusal(
        409,
        'OO_BUSY',
        `A ${other.what} of ${subject.name} is under way, for ${seconds} s.`,
        hint,
      );
    }
    this.#running.set(subject.pool, { what, since: now });
    const say = (step: RolloutStep['step'], detail: string, target = '') =>
      onStep({ at: new Date(this.#options.now()).toISOString(), step, target, detail });
    return { done: this.#run(plan, say, signal).finally(() => this.#running.delete(subject.pool)) };
  }

  async #run(plan: Plan, say: Say, signal: AbortSignal): Promise<RolloutOutcome> {
    const { subject, times, by } = plan;
    await this.#check(plan, say, signal);
    if (signal.aborted) throw cancelled(subject);
    await this.#subjects.refresh();
    const before = subject.current();
    const targetOf = presentTarget(subject, this.#subjects);
    const old = this.#endpoints.of(subject, before, before && targetOf(before));
    const planned = plan.next(before ?? {});
    const isChanged = before === undefined || !isSame(planned, before);
    if (isChanged) {
      this.#note(plan, before, planned, say);
      await subject.change(plan.next, by);
    }
    await this.#makeHosts(plan);
    const after = subject.current() ?? planned;
    const target = targetOf(after) ?? null;
    const { canary = null, previous = null } = after.rollout ?? {};
    const words = `${subject.name} goes to ${target === null ? 'its instances' : this.#words(subject, target)}`;
    const extra = canary === null ? '' : `; ${canaryText(canary)} to ${specText(canary.target)}`;
    say('swap', isChanged || plan.hosts.length > 0 ? words + extra : `${words}${extra}, as before`);
    if (isChanged) this.#options.log(`${plan.what}: ${subject.kind} ${words}${extra} (${byText(by)})`);
    const kept = this.#endpoints.of(subject, after, target ?? undefined);
    const gone = [...old.values()].filter(({ key }) => !kept.has(key)).sort((a, b) => (a.href < b.href ? -1 : 1));
    const rest = await this.#drain(subject, gone, times.drainMs ?? defaultDrainMs, say, signal);
    return {
      name: subject.name,
      kind: subject.kind,
      created: before === undefined,
      changed: isChanged,
      target: target !== null && isOwn(subject, target) ? null : target,
      canary,
      previous,
      hosts: plan.hosts,
      ...rest,
    };
  }

  async #check({ subject, check, times }: Plan, say: Say, signal: AbortSignal): Promise<void> {
    if (check === null) return;
    const options = subject.current() ?? {};
    const awaited = this.#endpoints.awaited(subject, options, check.target);
    const isService = isOwn(subject, check.target) || String(check.target).startsWith('service://');
    const asked = checkOf(check.path, options.health);
    if (times.force) return say('note', 'not checked, as --force says');
    if (awaited.length === 0) {
      const said = `${specText(check.target)} has no instance`;
      throw new RolloutRefusal(
        409,
        'OO_UNHEALTHY',
        `${said}; nothing was changed.`,
        'oo instance ls shows those that are.',
      );
    }
    const deadlineMs = times.deadlineMs ?? defaultDeadlineMs;
    const seconds = `${Math.round(deadlineMs / 100) / 10} s`;
    for (const { target } of awaited) say('check', `${checkText(asked)}, for up to ${seconds}`, target.href);
    const failed = await waitHealthy(awaited, {
      ...{ probe: this.#options.probe, clock: this.#options, check: asked, deadlineMs, signal },
      need: isService ? 'one' : 'all',
      onFailed: (href, reason) => say('waiting', reason, href),
      onPassed: (href, tookMs) => say('healthy', `after ${Math.round(tookMs / 100) / 10} s`, href),
    });
    if (failed === undefined || signal.aborted) return;
    const { href, reason, tries } = failed;
    const count = tries === 1 ? 'one check' : `${tries} checks`;
    const said = `${href} is not healthy within ${seconds} (${count}): ${reason}; nothing was changed.`;
    const hint = 'See its log. --deadline gives it longer, --health PATH asks for another path, --force does not ask.';
    throw new RolloutRefusal(409, 'OO_UNHEALTHY', said, hint);
  }

  /** What a person may not expect of the swap. */
  #note({ subject }: Plan, before: ServiceOptions | undefined, next: ServiceOptions, say: Say): void {
    if (before === undefined) {
      // Hosts are alike on purpose; a service's name is short, and may be mistyped.
      const meant = subject.kind === 'service' ? nearest(subject.name, this.#subjects.slugs()) : undefined;
      const other = meant === undefined ? '' : `; ${meant} is another`;
      return say('note', `there was no ${subject.kind} ${subject.name}: it is made${other}`);
    }
    const { canary, gate } = before.rollout ?? {};
    if (gate && gate.state !== 'open' && !(gate.until && gate.until <= this.#options.now()))
      say('note', `${subject.name} stays ${gate.state}: oo resume ${subject.name} opens it`);
    if (canary !== undefined && next.rollout?.canary === undefined && !isSame(canary.target, next.target))
      say('note', `the canary ${specText(canary.target)} ends`);
    const registered = this.#subjects.registered(subject.name).length;
    if (subject.kind === 'service' && before.target === undefined && next.target !== undefined && registered > 0)
      say('note', `while ${subject.name} has a target, no requests go to what has registered (${registered})`);
    if (
      subject.kind === 'route' &&
      String(before.target).startsWith('service://') &&
      !isSame(before.target, next.target)
    )
      say('note', `${subject.name} went to ${String(before.target)}: the service itself is not changed`);
  }

  async #makeHosts({ subject, hosts, by }: Plan): Promise<void> {
    if (hosts.length === 0) return;
    const target = `service://${subject.name}`;
    const routes = hosts.map((id) => ({ id, target }));
    try {
      refuseUnsaved(await this.#options.configuration.save(routes, by));
    } catch (error) {
      const said = `${subject.name} has its target, but its routes were not made: ${(error as Error).message}`;
      const hint = 'The same command once more makes them.';
      throw Object.assign(new RolloutRefusal(409, 'OO_NO_ROUTES', said, hint), { cause: error });
    }
  }

  async #drain(subject: Subject, gone: readonly Endpoint[], drainMs: number, say: Say, signal: AbortSignal) {
    const elsewhere =
      gone.length === 0 ? new Set<string>() : this.#endpoints.elsewhere(new Set(gone.map(({ key }) => key)), subject);
    const watched = gone.filter(({ key }) => !elsewhere.has(key));
    const shared = gone.filter(({ key }) => elsewhere.has(key)).map(({ href }) => href);
    if (watched.length === 0) return { drained: [], left: [], shared };
    const left = await watchDrain(watched, {
      ...{ figures: this.#options.figures, clock: this.#options, drainMs, signal },
      onLeft: (list) => {
        for (const { target, inFlight } of list) say('drain', `${inFlight} under way`, target);
      },
    });
    const busy = new Set(left.map(({ target }) => target));
    return { drained: watched.map(({ href }) => href).filter((href) => !busy.has(href)), left, shared };
  }

  #words(subject: Subject, target: TargetSpec): string {
    return isOwn(subject, target) ? 'its registered instances' : specText(target);
  }
}

type Say = (step: RolloutStep['step'], detail: string, target?: string) => void;

/** `10% of the requests`, `requests with x-beta=1`. */
function canaryText({ percent = 0, header }: { readonly percent?: number; readonly header?: string }): string {
  const parts = [percent > 0 ? `${percent}% of the requests` : '', header ? `requests with ${header}` : ''];
  return parts.filter((part) => part !== '').join(' and ');
}

/** Without the fields that are undefined. */
function shape<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}

/** Whatever the order of their fields. */
function isSame(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_, one) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}

function noTarget({ name }: Subject, isCanary: boolean): RolloutRefusal {
  if (isCanary)
    return new RolloutRefusal(409, 'OO_NO_CANARY', `${name} has no canary yet.`, 'Name its target: --target URL.');
  const hint = `A canary gets a part of the requests: deploy the main target first, without --percent and --header.`;
  return new RolloutRefusal(400, 'OO_BAD_REQUEST', `${name} has no target to deploy to.`, hint);
}

function emptyCanary({ name }: Subject): RolloutRefusal {
  const hint = `oo rollback ${name} takes a canary away; --header name=value chooses requests by a header.`;
  return new RolloutRefusal(400, 'OO_BAD_REQUEST', 'percent is 0: nobody would get to this canary.', hint);
}

function changed({ name }: Subject): RolloutRefusal {
  return new RolloutRefusal(
    409,
    'OO_CONFLICT',
    `${name} was deployed by somebody else meanwhile.`,
    'Look, and try again.',
  );
}

function cancelled({ name }: Subject): RolloutRefusal {
  return new RolloutRefusal(409, 'OO_CANCELLED', `The deploy of ${name} was ended; nothing was changed.`, '');
}
