import type { Context } from 'hono';

/** What a token may let its holder do. To write a thing is to read it, too; `admin` is everything. */
export const scopes = [
  ...(['routes:read', 'routes:write', 'handlers:write', 'services:read', 'services:write'] as const),
  ...(['instances:read', 'instance:write', 'certs:read', 'certs:write'] as const),
  ...(['history:read', 'status:read', 'events:read', 'audit:read', 'admin'] as const),
] as const;

export type Scope = (typeof scopes)[number];

/** What a service needs for its own instances. */
export const serviceScopes = ['instances:read', 'instance:write'] as const satisfies readonly Scope[];

/** Who makes a request of the API, and what that one may do. */
export interface Caller {
  /** For the log of changes: `token:tok_1a2b…`, or what the local user says, `cli`. */
  readonly actor: string;
  /** Where from: an address, or `socket`. */
  readonly from: string;
  readonly scopes: readonly Scope[];
  /** With `instance:write`: the one service that it is for. Undefined: any. */
  readonly slug?: string;
  /** When its token ends, epoch ms; 0 or left out: never. */
  readonly expiresAt?: number;
  /** Of a token: what goes on for long looks whether it may still. Undefined: it may. */
  readonly hold?: Hold;
}

export interface Hold {
  /** While the store fails, a token that was good is. */
  isGood(): Promise<boolean>;
  /** @param onRemoval told when this server removes or replaces tokens: time to look @returns ends it */
  watch(onRemoval: () => void): () => void;
}

/** What the server in front of an app hands to it with each request, as Hono's `env`. */
export interface CallerEnv {
  readonly caller?: Caller;
}

const actorForm = /^[\x21-\x7e]{1,100}$/;

/** The request's caller. Without one it came by the unix socket, whose permission is the lock: it may do everything. */
export function callerOf(c: Context): Caller {
  const given = (c.env as CallerEnv | undefined)?.caller;
  if (given !== undefined) return given;
  const named = c.req.header('oo-actor');
  const actor = named !== undefined && actorForm.test(named) ? named : 'api';
  return { actor, from: 'socket', scopes: ['admin'] };
}

/** Whether a caller may do what `scope` is for. */
export function allows({ scopes: given }: Pick<Caller, 'scopes'>, scope: Scope): boolean {
  if (given.includes('admin') || given.includes(scope)) return true;
  return scope.endsWith(':read') && given.includes(scope.replace(/:read$/, ':write') as Scope);
}
