import { isWithin, ownerOf } from './cidr.ts';
import type { FailureCode } from './failure.ts';
import { type CompiledAccess, isLetIn } from './option-access.ts';
import { type CompiledBasicAuth, type KnownPassword, readCredentials } from './option-basic-auth.ts';
import { type CompiledCors, type Field, preflightFields } from './option-cors.ts';
import type { CompiledForwardAuth } from './option-forward-auth.ts';
import type { CompiledMaintenance } from './option-maintenance.ts';
import type { CompiledRateLimit } from './option-rate-limit.ts';
import { type CompiledRedirect, locationOf } from './option-redirect.ts';
import type { CompiledRespond } from './option-respond.ts';
import { cookieValue } from './sticky.ts';

/** The parts of a route's options that decide whether a request gets through to forwarding. */
export interface GuardParts {
  readonly maintenance: CompiledMaintenance | null;
  readonly access: CompiledAccess | null;
  readonly rateLimit: CompiledRateLimit | null;
  readonly cors: CompiledCors | null;
  readonly basicAuth: CompiledBasicAuth | null;
  readonly forwardAuth: CompiledForwardAuth | null;
  readonly redirect: CompiledRedirect | null;
  readonly respond: CompiledRespond | null;
}

/** In the order in which a request meets them. */
export const guardOrder = [
  ...(['maintenance', 'access', 'rateLimit', 'cors'] as const),
  ...(['basicAuth', 'forwardAuth', 'redirect', 'respond'] as const),
] satisfies (keyof GuardParts)[];

export type GuardName = (typeof guardOrder)[number];

/** What guards look at. */
export interface GuardedRequest {
  readonly method: string;
  /** As sent, '/' at least. */
  readonly path: string;
  /** With its `?`; '' for none. */
  readonly query: string;
  /** The client's: behind a trusted proxy what that says. */
  readonly address: string;
  /**
   * A field's value, one character a byte; several lines joined with ', ' (of Cookie with '; '); '' for none.
   * @param name in lower case
   */
  field(name: string): string;
}

/** It is refused: the answer is a failure's. */
export interface RefuseStep {
  readonly kind: 'refuse';
  readonly code: FailureCode;
  readonly fields: readonly Field[];
  /** Seconds; 0 for none. */
  readonly retryAfter: number;
  /** In place of the code's own words; '' for those. */
  readonly detail: string;
}

/** It is answered. */
export interface ReplyStep {
  readonly kind: 'reply';
  readonly status: number;
  readonly fields: readonly Field[];
  /** Null where there can be none. */
  readonly body: string | Uint8Array | null;
}

/** It goes on if scrypt of `password` is what `known` says; else `orElse`. */
export interface PasswordStep {
  readonly kind: 'password';
  readonly known: KnownPassword;
  readonly password: string;
  readonly orElse: RefuseStep;
}

/** Another server is asked. */
export interface AskStep {
  readonly kind: 'ask';
  readonly auth: CompiledForwardAuth;
}

export type GuardStep = RefuseStep | ReplyStep | PasswordStep | AskStep;

/** Counts a request. @returns 0: it may be made; else ms until it may */
export type TakeRate = (rate: CompiledRateLimit, key: string) => number;

/**
 * What one guard says of a request.
 * @returns null: it goes on to the next
 */
export function decideGuard(
  options: GuardParts,
  name: GuardName,
  request: GuardedRequest,
  take: TakeRate,
): GuardStep | null {
  switch (name) {
    case 'maintenance':
      return decideMaintenance(options.maintenance!, request);
    case 'access':
      return isLetIn(options.access!, request.address) ? null : refuse('OO_FORBIDDEN_ADDRESS');
    case 'rateLimit':
      return decideRate(options.rateLimit!, request, take);
    case 'cors':
      return decidePreflight(options.cors!, request);
    case 'basicAuth':
      return decidePassword(options.basicAuth!, request);
    case 'forwardAuth':
      return { kind: 'ask', auth: options.forwardAuth! };
    case 'redirect':
      return decideRedirect(options.redirect!, request);
    case 'respond':
      return { kind: 'reply', ...options.respond! };
  }
}

function refuse(code: FailureCode, fields: readonly Field[] = [], retryAfter = 0, detail = ''): RefuseStep {
  return { kind: 'refuse', code, fields, retryAfter, detail };
}

function decideMaintenance({ allow, message, retryAfterSeconds }: CompiledMaintenance, { address }: GuardedRequest) {
  return isWithin(allow, address) ? null : refuse('OO_MAINTENANCE', [], retryAfterSeconds, message);
}

function decideRate(rate: CompiledRateLimit, request: GuardedRequest, take: TakeRate): GuardStep | null {
  const waitMs = take(rate, rateKey(rate, request));
  if (waitMs === 0) return null;
  const seconds = Math.ceil(waitMs / 1_000);
  // draft-ietf-httpapi-ratelimit-headers-10: a window is whole seconds, or left out.
  const window = rate.perMs % 1_000 === 0 ? `;w=${rate.perMs / 1_000}` : '';
  const fields: Field[] = [
    ['RateLimit-Policy', `"default";q=${rate.requests}${window}`],
    ['RateLimit', `"default";r=0;t=${seconds}`],
  ];
  return refuse('OO_RATE_LIMITED', fields, seconds);
}

/** Of longer values the ends count: tokens begin alike, and their signatures differ. */
const maxKeyLength = 128;

/** Whose request it is. Keys of one kind are never those of another. */
export function rateKey({ by }: CompiledRateLimit, request: GuardedRequest): string {
  if (by.kind === 'ip') return ownerOf(request.address);
  const value = by.kind === 'header' ? request.field(by.name) : (cookieValue(request.field('cookie'), by.name) ?? '');
  if (value === '') return ownerOf(request.address);
  const half = maxKeyLength / 2;
  return value.length <= maxKeyLength ? `=${value}` : `=${value.slice(0, half)}…${value.slice(-half)}`;
}

/** Before who it is is asked: browsers send no credentials with it. */
function decidePreflight(cors: CompiledCors, request: GuardedRequest): ReplyStep | null {
  if (request.method !== 'OPTIONS') return null;
  const origin = request.field('origin');
  if (origin === '' || request.field('access-control-request-method') === '') return null;
  const fields = preflightFields(cors, origin, request.field('access-control-request-headers'));
  return { kind: 'reply', status: 204, fields, body: null };
}

function decidePassword({ challenge, users, nobody }: CompiledBasicAuth, request: GuardedRequest): GuardStep {
  const orElse = refuse('OO_UNAUTHORIZED', [['WWW-Authenticate', challenge]]);
  const said = readCredentials(request.field('authorization'));
  if (said === undefined) return orElse;
  return { kind: 'password', known: users.get(said.user) ?? nobody, password: said.password, orElse };
}

function decideRedirect(redirect: CompiledRedirect, { path, query }: GuardedRequest): ReplyStep {
  const fields: Field[] = [['Location', locationOf(redirect, path, query)]];
  return { kind: 'reply', status: redirect.status, fields, body: '' };
}
