import type { CompiledAccess } from './option-access.ts';
import type { CompiledBasicAuth } from './option-basic-auth.ts';
import type { CompiledCors } from './option-cors.ts';
import type { CompiledForwardAuth } from './option-forward-auth.ts';
import type { CompiledMaintenance } from './option-maintenance.ts';
import type { CompiledRateLimit } from './option-rate-limit.ts';
import type { CompiledRedirect } from './option-redirect.ts';
import type { CompiledRespond } from './option-respond.ts';

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
