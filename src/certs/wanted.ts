import { type Cidr, isWithin, parseCidr } from '../core/cidr.ts';
import { parseRouteId } from '../core/host.ts';
import type { Route } from '../core/types.ts';
import type { Unmet } from './manager-types.ts';
import type { Certificate, KeyType } from './types.ts';

/** A certificate that routes ask for. */
export interface Wanted {
  readonly id: string;
  /** The common name first. */
  readonly names: readonly string[];
  readonly keyType: KeyType;
  /** Who is asked: the CAs, or the local one. */
  readonly by: 'acme' | 'local';
  /** Ids of the routes; empty for one on demand. */
  readonly routes: readonly string[];
}

export interface WantedSettings {
  readonly keyType: KeyType;
  /** Whether there is a CA to order from. */
  readonly acme: boolean;
  readonly local: boolean;
  /** Whether DNS-01 can be answered. */
  readonly wildcards: boolean;
  readonly onDemand: boolean;
}

export interface WantedCertificates {
  readonly wanted: ReadonlyMap<string, Wanted>;
  readonly unmet: readonly Unmet[];
  /** Whether a host that no route names is under a wildcard or `*` route, and so may get a certificate on demand. */
  mayOnDemand(name: string): boolean;
}

/** The local CA's own certificate is kept under this id; it is never served. */
export const localRootId = 'local_ca';

const hour = 3_600_000;
const localForm = /(?:^|\.)(?:localhost|test|internal|local|home\.arpa)$/;
const unreachable = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
  ...['::/128', '::1/128', 'fc00::/7', 'fe80::/10'],
].map((range) => parseCidr(range) as Cidr);

/** Whether this is an IP address (without brackets) and not a name. */
export function isAddress(name: string): boolean {
  return name.includes(':') || /^[0-9.]+$/.test(name);
}

/**
 * Whether no public CA can know this name: `localhost`, `.test`, `.internal` and their like, names of a single label, and
 * loopback, private and link-local addresses.
 * @param name in normal form, addresses without brackets; a wildcard is judged by its parent
 */
export function isLocalName(name: string): boolean {
  if (isAddress(name)) return isWithin(unreachable, name);
  const bare = name.startsWith('*.') ? name.slice(2) : name;
  if (!bare.includes('.') && !name.startsWith('*.')) return true;
  return localForm.test(bare);
}

/** The id of the certificate that one name gets: RSA ones stand beside those of the default. */
export function certificateIdOf(name: string, keyType: KeyType): string {
  return keyType === 'rsa' ? `${name}+rsa` : name;
}

/** A name's wildcard, `a.example.com` → `*.example.com`; '' where it has none. */
export function wildcardOf(name: string): string {
  const dot = name.indexOf('.');
  return dot === -1 || name.startsWith('*.') || isAddress(name) ? '' : `*${name.slice(dot)}`;
}

/**
 * Until when a certificate of one's own stands in for automatic ones: a little before it expires, so that its successor is there
 * in time.
 */
export function standsInUntil({ notBefore, notAfter }: Certificate): number {
  return notAfter - Math.min(24 * hour, Math.max(0, notAfter - notBefore) / 10);
}

/**
 * Which certificates the routes ask for: one a host, whether the routes name it with a path, a port or alone, and one for all
 * hosts of the routes that name the same `certificate`. Nothing for what a certificate of one's own covers.
 * @param own saved ones; others are not looked at
 */
export function wantedCertificates(
  routes: Iterable<Route>,
  own: Iterable<Certificate>,
  settings: WantedSettings,
  now: number,
): WantedCertificates {
  const hosts = hostsOf(routes);
  const covered = new Set<string>();
  for (const certificate of own)
    if (certificate.source === 'saved' && now < standsInUntil(certificate))
      for (const name of certificate.names) covered.add(name);
  const isCovered = (name: string) => covered.has(name) || covered.has(wildcardOf(name));

  const wanted = new Map<string, Wanted>();
  const unmet: Unmet[] = [];
  const shared = new Map<string, Host[]>();
  for (const host of hosts.values()) {
    if (host.name === '*') {
      if (!settings.onDemand) unmet.push(explained(host, anyHostReason, onDemandHint));
      continue;
    }
    if (isCovered(host.name)) continue;
    const why = whyNot(host, settings);
    if (why !== undefined) {
      if (why !== onDemandLater) unmet.push(why);
      continue;
    }
    if (host.certificate !== undefined) {
      const list = shared.get(host.certificate);
      if (list === undefined) shared.set(host.certificate, [host]);
      else list.push(host);
      continue;
    }
    addOwn(host, wanted, settings);
  }
  for (const [id, members] of shared) addShared(id, members, wanted, settings);
  return {
    wanted,
    unmet,
    mayOnDemand: (name) => !hosts.has(name) && (hosts.has('*') || hosts.has(wildcardOf(name))),
  };
}

/** A host and what the routes that name it say of its certificate. */
interface Host {
  readonly name: string;
  readonly isLocal: boolean;
  readonly routes: string[];
  /** Asked for by those routes; empty: the default. */
  readonly keyTypes: KeyType[];
  certificate: string | undefined;
}

/** Routes are looked at after every change of one of them, and never change themselves. */
const names = new WeakMap<Route, string>();

/** A route's host, addresses without brackets; '' if its id is none. */
function nameOf(route: Route): string {
  let name = names.get(route);
  if (name === undefined) {
    const id = parseRouteId(route.id);
    name = typeof id === 'string' ? '' : id.host.replace(/^\[(.*)\]$/, '$1');
    names.set(route, name);
  }
  return name;
}

function hostsOf(routes: Iterable<Route>): Map<string, Host> {
  const hosts = new Map<string, Host>();
  for (const route of routes) {
    const name = nameOf(route);
    if (name === '') continue;
    let host = hosts.get(name);
    if (host === undefined) {
      host = { name, isLocal: isLocalName(name), routes: [], keyTypes: [], certificate: undefined };
      hosts.set(name, host);
    }
    host.routes.push(route.id);
    const { keyType, certificate } = route;
    if (keyType !== undefined && !host.keyTypes.includes(keyType)) host.keyTypes.push(keyType);
    if (certificate === undefined || certificate === '' || certificate === localRootId) continue;
    // Should the routes of a host name several, one is enough, and it must not depend on the order of the routes.
    if (host.certificate === undefined || certificate < host.certificate) host.certificate = certificate;
  }
  return hosts;
}

const anyHostReason = 'a certificate needs a name, and * is none';
const onDemandHint =
  'Give each host its route, or let hosts get theirs at the first visit: oo serve --on-demand-ask URL.';
const onDemandLater: Unmet = { name: '', routes: [], reason: '', hint: '' };

function explained(host: Host, reason: string, hint: string): Unmet {
  return { name: host.name, routes: host.routes, reason, hint };
}

/** Why a host gets none by itself; `onDemandLater` where its hosts get theirs at the first visit. */
function whyNot(host: Host, settings: WantedSettings): Unmet | undefined {
  const { name, isLocal } = host;
  const wild = name.startsWith('*.');
  if (name === localRootId)
    return explained(host, 'the local CA keeps its own under this name', 'Give the host another name.');
  if (isLocal) {
    if (!settings.local)
      return explained(host, 'no public CA gives one for this name, and local HTTPS is off', saveHint(name));
    // Clients take no wildcard right under a top-level name, so hosts at the first visit are better.
    return wild && !name.slice(2).includes('.') && settings.onDemand ? onDemandLater : undefined;
  }
  if (wild && !settings.wildcards) {
    if (settings.onDemand) return onDemandLater;
    const hint = `Answer DNS-01 with a hook: oo serve --acme-dns-hook FILE. Or bring one: oo cert save '${name}'. Or: ${onDemandHint}`;
    return explained(host, 'CAs give a wildcard only by DNS-01', hint);
  }
  return settings.acme ? undefined : explained(host, 'ACME is off', saveHint(name));
}

function saveHint(name: string): string {
  return `Bring one: oo cert save ${name.startsWith('*') ? `'${name}'` : name} --cert FILE --key FILE`;
}

function addOwn(host: Host, wanted: Map<string, Wanted>, settings: WantedSettings): void {
  const by = host.isLocal ? 'local' : 'acme';
  const keyTypes = host.keyTypes.length === 0 ? [settings.keyType] : host.keyTypes;
  for (const keyType of keyTypes) {
    const id = certificateIdOf(host.name, keyType);
    wanted.set(id, { id, names: [host.name], keyType, by, routes: host.routes });
  }
}

/** Local names among public ones get their own: no public CA would take the order with them in it. */
function addShared(id: string, members: readonly Host[], wanted: Map<string, Wanted>, settings: WantedSettings): void {
  const isPublic = members.some(({ isLocal }) => !isLocal);
  const together = members.filter(({ isLocal }) => isLocal !== isPublic);
  for (const host of members) if (!together.includes(host)) addOwn(host, wanted, settings);
  // A host that asks for nothing may have this very id: it joins.
  const joining = wanted.get(id);
  const all = [...together.map(({ name }) => name), ...(joining?.names ?? [])].sort();
  const names = all.includes(id) ? [id, ...all.filter((name) => name !== id)] : all;
  const asked = together.flatMap(({ keyTypes }) => keyTypes);
  const keyType = asked.includes('rsa') ? 'rsa' : (asked[0] ?? settings.keyType);
  const routes = [...together.flatMap((host) => host.routes), ...(joining?.routes ?? [])];
  wanted.set(id, { id, names, keyType, by: isPublic ? 'acme' : 'local', routes });
}
