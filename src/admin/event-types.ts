import { allows, type Caller } from './access.ts';
import type { ConfigurationChange } from './configuration-types.ts';
import type { ServerEvent } from './events.ts';
import type { ResourceKind } from './resources.ts';

/** Of one event, more help nobody: the history has them all. */
const mostResources = 100;

/** A revision is in force: the data of `change`. */
export interface ChangeEvent {
  readonly revision: number;
  readonly actor: string;
  /** An address, `socket`, or '' where it is not known. */
  readonly from: string;
  /** '' for none. */
  readonly reason: string;
  readonly resources: readonly ChangedResource[];
  /** How many there are besides. */
  readonly more: number;
}

export interface ChangedResource {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly change: 'created' | 'updated' | 'removed';
}

/** An instance, or a target of a route, is in another state: the data of `health`. */
export interface HealthEvent {
  /** `http://10.0.0.2:3000`. */
  readonly address: string;
  readonly state: 'Healthy' | 'Degraded' | 'Unreachable' | 'Unknown';
  readonly before: HealthEvent['state'];
  /** What the probes found; '' while all is well. */
  readonly reason: string;
  /** Who has it: `route app.example.com`, `service user-svc`. */
  readonly owners: readonly string[];
}

/** The data of `certificate`. */
export interface CertificateEvent {
  readonly id: string;
  readonly change: 'issued' | 'renewed' | 'saved' | 'removed' | 'failed';
  /** Of one that is there. */
  readonly names?: readonly string[];
  readonly issuer?: string;
  /** RFC 3339. */
  readonly notAfter?: string;
  /** Why it failed. */
  readonly error?: string;
  /** RFC 3339; left out: none is planned. */
  readonly nextTryAt?: string;
}

export function changeEvent({ revision, actor, from, reason, changes }: ConfigurationChange): ChangeEvent {
  const resources = changes.slice(0, mostResources).map(
    ({ kind, id, before, after }): ChangedResource => ({
      ...{ kind, id, change: before === null ? 'created' : after === null ? 'removed' : 'updated' },
    }),
  );
  return { revision, actor, from, reason, resources, more: changes.length - resources.length };
}

const scopeOfResource = { route: 'routes:read', service: 'services:read', settings: 'history:read' } as const;

/**
 * What of an event somebody may see: health with `instances:read`, certificates with `certs:read`, a change with `history:read` or else of it the routes
 * with `routes:read` and the services with `services:read`.
 * @returns undefined: nothing
 */
export function visible<E extends ServerEvent>(event: E, caller: Pick<Caller, 'scopes'>): E | undefined {
  if (event.kind === 'health') return allows(caller, 'instances:read') ? event : undefined;
  if (event.kind === 'certificate') return allows(caller, 'certs:read') ? event : undefined;
  if (allows(caller, 'history:read')) return event;
  const data = event.data as ChangeEvent;
  const resources = data.resources.filter(({ kind }) => allows(caller, scopeOfResource[kind]));
  return resources.length === 0 ? undefined : { ...event, data: { ...data, resources, more: 0 } };
}

/** The scopes of which one is needed to see anything of a kind. */
export const scopesOfKind = {
  change: ['history:read', 'routes:read', 'services:read'],
  health: ['instances:read'],
  certificate: ['certs:read'],
} as const satisfies Record<ServerEvent['kind'], readonly string[]>;
