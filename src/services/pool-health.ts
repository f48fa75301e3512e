import { isIP } from 'node:net';
import { type HealthFlip, type HealthState, isUsable } from '../core/health.ts';
import { healthKey } from '../core/health-check.ts';
import { instanceKey } from '../core/pool-compile.ts';
import type { InstanceSettings } from '../core/pool-types.ts';
import type { HealthKeeper } from './health-keeper.ts';
import type { HealthMember } from './health-members.ts';
import type { HealthMonitor, MonitorItem } from './monitor.ts';
import { isLocalName, reachable } from './own-address.ts';
import type { NameResolver, Resolved } from './resolver-types.ts';
import type { Clock, InstanceStatus } from './types.ts';

export interface PoolHealthOptions {
  readonly monitor: HealthMonitor;
  readonly resolver: NameResolver;
  readonly keeper: HealthKeeper;
  readonly clock: Clock;
  /** Told of an instance's key whenever its state may be another. */
  readonly onState: (key: string) => void;
  /** The same when it is no longer probed. */
  readonly onGone: (key: string) => void;
  /** Told what is found of a registered instance. */
  readonly setStatus: (id: string, status: InstanceStatus, details: string) => void;
  /** Told of each change of state. */
  readonly onFlip?: (flip: AddressFlip) => void;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** How one instance is, by its key. */
export interface InstanceHealth {
  readonly key: string;
  readonly state: HealthState;
  /** Epoch ms. */
  readonly since: number;
  /** One line; '' for Healthy. */
  readonly reason: string;
  /** `service user-svc`, `route app.example.com`: who has it. */
  readonly owners: readonly string[];
}

/** An address is in another state. */
export interface AddressFlip {
  /** `http://10.0.0.2:3000`, `https://web.internal@10.0.0.2`. */
  readonly address: string;
  readonly before: HealthState;
  readonly state: HealthState;
  /** '' for Healthy. */
  readonly reason: string;
  /** `service user-svc`, `route app.example.com`: who has it. */
  readonly owners: readonly string[];
}

/** Who has an instance, and as what. */
interface Link {
  readonly owner: string;
  /** Of a registered instance; '' for a target. */
  readonly id: string;
}

interface Tracked {
  readonly key: string;
  /** Which probes speak for it; '' for a name that has no address. */
  readonly healthKey: string;
  readonly links: Link[];
  /** Of a name: why it has no address; '' while it is looked up. */
  fault: string;
  since: number;
}

interface Owned {
  readonly members: readonly HealthMember[];
  readonly names: ReadonlySet<string>;
  readonly held: readonly { readonly tracked: Tracked; readonly link: Link }[];
}

/** An address of a member, or why it has none. */
interface Place {
  readonly address: string;
  readonly fault?: string;
}

const ranks: Readonly<Record<HealthState, number>> = { Healthy: 0, Unknown: 1, Degraded: 2, Unreachable: 3 };
const lookingUp = 'its name is being looked up';
const notProbed = 'it is not probed';

/**
 * Keeps the monitor at work on all that routes and services want probed, and turns what it finds into states of instances. Names are probed at
 * each address that they have. Several instances can share a probe: they differ in what has nothing to do with it, such as limits.
 */
export class PoolHealth {
  readonly #options: PoolHealthOptions;
  readonly #owned = new Map<string, Owned>();
  readonly #byKey = new Map<string, Tracked>();
  readonly #byProbe = new Map<string, Tracked[]>();
  readonly #byId = new Map<string, Tracked[]>();
  /** Whose members have a name. */
  readonly #byName = new Map<string, Set<string>>();

  constructor(options: PoolHealthOptions) {
    this.#options = options;
  }

  /** All that an owner wants probed from now on, in place of what it wanted before. @param owner `route app.example.com` */
  follow(owner: string, members: readonly HealthMember[]): void {
    const before = this.#owned.get(owner);
    if (before === undefined && members.length === 0) return;
    const names = new Set<string>();
    const items: MonitorItem[] = [];
    const held: { tracked: Tracked; link: Link }[] = [];
    for (const member of members) {
      if (member.settings.check === null) {
        if (member.id !== '') this.#options.setStatus(member.id, 'Unknown', notProbed);
        continue;
      }
      if (!isAddress(member.target.hostname)) names.add(member.target.hostname);
      for (const place of this.#placesOf(member)) {
        const item = place.fault === undefined ? this.#itemOf(member, place.address) : undefined;
        if (item !== undefined) items.push(item);
        const link = { owner, id: member.id };
        held.push({ tracked: this.#hold(keyOf(member, place.address), item?.key ?? '', link, place), link });
      }
    }
    this.#options.monitor.follow(owner, items);
    for (const { tracked, link } of before?.held ?? []) this.#letGo(tracked, link);
    this.#followNames(owner, before?.names, names);
    if (members.length > 0) this.#owned.set(owner, { members, names, held });
    else this.#owned.delete(owner);
    for (const { tracked } of held) this.#options.onState(tracked.key);
    for (const { id } of members) if (id !== '') this.#tellStatus(id);
  }

  /** To be told of each flip of the monitor. */
  flipped(probe: string, flip: HealthFlip): void {
    const { onState, keeper, log } = this.#options;
    const all = this.#byProbe.get(probe) ?? [];
    if (all.length === 0) return;
    if (all.some(isStored)) {
      const { state, since, reason } = this.#options.monitor.health(probe)!;
      keeper.save(probe, { state, since, reason });
    }
    for (const { key, links } of all) {
      onState(key);
      for (const { id } of links) if (id !== '') this.#tellStatus(id);
    }
    const { from: before, to: state, reason } = flip;
    this.#options.onFlip?.({ address: addressOf(probe), before, state, reason, owners: ownersOf(all) });
    // That one is well at its first probe is no news.
    if (flip.from === 'Unknown' && flip.to === 'Healthy') return;
    log(`health: ${addressOf(probe)} of ${ownersText(all)} is ${flip.to}, was ${flip.from}: ${flip.reason}`);
  }

  /** To be told when a name has other addresses. */
  resolved({ name }: Resolved): void {
    for (const owner of [...(this.#byName.get(name) ?? [])]) this.follow(owner, this.#owned.get(owner)!.members);
  }

  /** To be called every few minutes: names that nobody asks for are not looked up again. */
  askNames(): void {
    for (const name of this.#byName.keys()) this.#options.resolver.peek(name);
  }

  /** The keys of instances that a probe speaks for. */
  *keysOf(probe: string): Iterable<string> {
    for (const { key } of this.#byProbe.get(probe) ?? []) yield key;
  }

  isDown(key: string): boolean {
    const tracked = this.#byKey.get(key);
    return tracked !== undefined && !isUsable(this.#stateOf(tracked));
  }

  /** @returns undefined for one that is not probed */
  get(key: string): InstanceHealth | undefined {
    const tracked = this.#byKey.get(key);
    return tracked === undefined ? undefined : this.#view(tracked);
  }

  *all(): Iterable<InstanceHealth> {
    for (const tracked of this.#byKey.values()) yield this.#view(tracked);
  }

  /** What is probed of a target, by the keys of its instances. */
  *placesOf(member: HealthMember): Iterable<string> {
    for (const { address } of this.#placesOf(member)) yield keyOf(member, address);
  }

  #placesOf({ target, settings, insecureSkipVerify }: HealthMember): readonly Place[] {
    if (isAddress(target.hostname)) return [{ address: '' }];
    const resolved = this.#options.resolver.peek(target.hostname);
    if (resolved === undefined) {
      // Where it was the last time, until there is an answer.
      const base = instanceKey(target, insecureSkipVerify, noTag);
      const known =
        settings.check === null ? [] : this.#options.keeper.addressesOf(base, healthKey('', settings.check));
      return known.length > 0 ? known.map((address) => ({ address })) : [{ address: '', fault: '' }];
    }
    const { addresses, fault } = resolved;
    if (addresses.length > 0) return reachable(addresses).map((address) => ({ address }));
    return [{ address: '', fault: `its name does not resolve: ${fault || 'it has no address'}` }];
  }

  #itemOf({ target, insecureSkipVerify, settings, id, known }: HealthMember, address: string): MonitorItem {
    const check = settings.check!;
    const key = healthKey(instanceKey(target, insecureSkipVerify, noTag, address), check);
    const { keeper } = this.#options;
    // The registry's word is on the check that was; under another it begins anew.
    const isOther = (this.#byId.get(id) ?? []).some(({ healthKey: before }) => before !== key);
    const last = id === '' || address !== '' ? keeper.known(key) : isOther ? undefined : known;
    return { key, target, address, insecureSkipVerify, check, known: last };
  }

  #hold(key: string, probe: string, link: Link, { fault = '' }: Place): Tracked {
    let tracked = this.#byKey.get(key);
    if (tracked === undefined) {
      tracked = { key, healthKey: probe, links: [], fault, since: this.#options.clock.now() };
      this.#byKey.set(key, tracked);
      if (probe !== '') add(this.#byProbe, probe, tracked);
    } else if (tracked.fault !== fault) {
      if ((tracked.fault === '') !== (fault === '')) tracked.since = this.#options.clock.now();
      tracked.fault = fault;
    }
    tracked.links.push(link);
    if (link.id !== '') add(this.#byId, link.id, tracked);
    return tracked;
  }

  #letGo(tracked: Tracked, link: Link): void {
    const { key, links } = tracked;
    links.splice(links.indexOf(link), 1);
    if (link.id !== '') drop(this.#byId, link.id, tracked);
    if (links.length > 0) return;
    this.#byKey.delete(key);
    if (tracked.healthKey !== '') {
      drop(this.#byProbe, tracked.healthKey, tracked);
      if (!this.#byProbe.has(tracked.healthKey)) this.#options.keeper.remove(tracked.healthKey);
    }
    this.#options.onGone(key);
  }

  #followNames(owner: string, before: ReadonlySet<string> | undefined, names: ReadonlySet<string>): void {
    for (const name of names) {
      const owners = this.#byName.get(name) ?? new Set();
      this.#byName.set(name, owners.add(owner));
    }
    for (const name of before ?? []) {
      if (names.has(name)) continue;
      const owners = this.#byName.get(name);
      owners?.delete(owner);
      if (owners?.size === 0) this.#byName.delete(name);
    }
  }

  /** As the worst of its addresses; but while one of them can be used it is no worse than Degraded. */
  #tellStatus(id: string): void {
    const all = (this.#byId.get(id) ?? []).map((tracked) => ({ ...this.#stateOf(tracked), key: tracked.key }));
    if (all.length === 0) return;
    const worst = all.reduce((a, b) => (ranks[b.state] > ranks[a.state] ? b : a));
    const state = !isUsable(worst) && all.some(isUsable) ? 'Degraded' : worst.state;
    const where = all.length > 1 && worst.reason !== '' ? `${addressOf(worst.key)}: ` : '';
    this.#options.setStatus(id, state, state === 'Healthy' ? '' : `${where}${worst.reason}`);
  }

  #stateOf({ healthKey: probe, fault, since }: Tracked): Pick<InstanceHealth, 'state' | 'since' | 'reason'> {
    const health = probe === '' ? undefined : this.#options.monitor.health(probe);
    if (health !== undefined) return health;
    return fault === ''
      ? { state: 'Unknown', since, reason: lookingUp }
      : { state: 'Unreachable', since, reason: fault };
  }

  #view(tracked: Tracked): InstanceHealth {
    const { state, since, reason } = this.#stateOf(tracked);
    return { key: tracked.key, state, since, reason, owners: ownersOf([tracked]) };
  }
}

/** What has no other addresses: this machine's own names are one server, whatever theirs are. */
function isAddress(hostname: string): boolean {
  return isIP(hostname) !== 0 || isLocalName(hostname);
}

const noTag = { tag: '' } as InstanceSettings;

function keyOf({ target, insecureSkipVerify, settings }: HealthMember, address: string): string {
  return instanceKey(target, insecureSkipVerify, settings, address);
}

/** An instance's or a probe's key without what is set. */
export function addressOf(key: string): string {
  const end = key.indexOf(' ');
  return end === -1 ? key : key.slice(0, end);
}

/** A single address of a registered instance is stored with that. */
function isStored({ key, links }: Tracked): boolean {
  return addressOf(key).includes('@') || links.some(({ id }) => id === '');
}

function ownersOf(all: readonly Tracked[]): string[] {
  return [...new Set(all.flatMap(({ links }) => links.map(({ owner }) => owner)))];
}

function ownersText(all: readonly Tracked[]): string {
  const owners = ownersOf(all);
  return owners.length > 3 ? `${owners.slice(0, 2).join(', ')} and ${owners.length - 2} others` : owners.join(', ');
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function drop<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) return;
  const at = list.indexOf(value);
  if (at >= 0) list.splice(at, 1);
  if (list.length === 0) map.delete(key);
}
