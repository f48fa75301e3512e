import type { CompiledOptions, OptionProver } from '../core/option-compile.ts';
import { compileHandler } from '../core/option-handler.ts';
import { routeOptionNames } from '../core/option-types.ts';
import type { Route } from '../core/types.ts';
import type { OptionsSupport } from './route-options.ts';
import type { ProxyOptions } from './types.ts';

/** @returns null for a program without `routeOptions` @throws TypeError for anything else */
export function supportOf({ options }: ProxyOptions): OptionsSupport | null {
  if (options === undefined) return null;
  const support = options as Partial<OptionsSupport> | null;
  if (typeof support?.start !== 'function')
    throw new TypeError("options is not what createProxy knows; expected routeOptions, imported from '@oo/proxy'");
  return support as OptionsSupport;
}

const nothing: Omit<CompiledOptions, 'source' | 'handler'> = {
  ...{ maintenance: null, access: null, rateLimit: null, cors: null, basicAuth: null, forwardAuth: null },
  ...{ redirect: null, respond: null, path: null, requestHeaders: null, responseHeaders: null, mirror: null },
  compress: null,
  guards: Object.freeze([]),
};

/** For a program without `routeOptions`: a handler, and nothing else. What would not be done is refused. */
export const proveHandlerOnly: OptionProver = (source, _prefix, fault) => {
  const missing = routeOptionNames.filter((name) => name !== 'handler' && source[name] !== undefined);
  for (const name of missing)
    fault(name, `route '${(source as Route).id}' has ${name}: import { routeOptions } from '@oo/proxy', ${howTo}`);
  const handler = compileHandler(source.handler, (message) => fault('handler', message));
  return handler === null ? null : Object.freeze({ ...nothing, source, handler });
};

const howTo = 'and give it to createProxy as options: routeOptions';
