import { isMapping, type Kind, proven, show } from '../core/pool-proof.ts';
import type { ProxyOptions } from './types.ts';

const any: Kind = { expected: '', is: () => true };
const aFunction: Kind = { expected: 'a function', is: (value) => typeof value === 'function' };
const hooks = { onResponse: aFunction, onFailure: aFunction, onHealth: aFunction };
const fields = {
  routes: {
    expected: 'a list such as [{ id, target }]',
    is: (value) => typeof value === 'object' && value !== null && Symbol.iterator in value,
  },
  // What is no support.ts knows.
  options: any,
  handlers: { expected: 'functions by name', is: isMapping },
  hooks: { expected: 'a mapping of functions', is: isMapping },
  trustedProxies: {
    expected: 'a list of texts',
    is: (value) => Array.isArray(value) && value.every((range) => typeof range === 'string'),
  },
  ...{ fetch: aFunction, clientIp: aFunction, verifyPassword: aFunction, now: aFunction, random: aFunction },
} satisfies Record<keyof ProxyOptions, Kind>;

/** What is wrong here would else be told by a request, or never. @throws TypeError */
export function proveOptions(options: ProxyOptions): void {
  const say = (message: string) => {
    throw new TypeError(message);
  };
  if (!isMapping(options)) say(`createProxy got ${show(options)}; expected { routes: [{ id, target }] }`);
  proven({ ...options, routes: options.routes ?? null }, 'createProxy', fields, say);
  proven({ ...options.hooks }, 'hooks', hooks, say);
}

/** @throws TypeError for what is no list of routes */
export function proveList(routes: unknown): void {
  if (!fields.routes.is(routes)) throw new TypeError(`routes is ${show(routes)}; expected ${fields.routes.expected}`);
}
