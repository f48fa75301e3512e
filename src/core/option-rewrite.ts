import type { OptionFault } from './option-compile.ts';
import { compileFields, type FieldRules } from './option-header-rules.ts';
import { compileMirror, type Mirror } from './option-mirror.ts';
import { compilePath, type PathRewrite } from './option-path.ts';
import type { RouteOptions } from './option-types.ts';

/** The parts of a route's options that change what is forwarded, or copy it. */
export interface RewriteParts {
  readonly path: PathRewrite | null;
  readonly requestHeaders: FieldRules | null;
  readonly responseHeaders: FieldRules | null;
  readonly mirror: Mirror | null;
}

/** Proves them. @param prefix the route's own, '' for the whole host */
export function compileRewrite(source: RouteOptions, prefix: string, fault: OptionFault): RewriteParts {
  const { stripPrefix, addPrefix, requestHeaders, responseHeaders, mirror } = source;
  const sayOf = (field: keyof RouteOptions) => (message: string) => fault(field, message);
  return {
    path: compilePath(stripPrefix, addPrefix, prefix, fault),
    requestHeaders: compileFields(requestHeaders, 'requestHeaders', sayOf('requestHeaders')),
    responseHeaders: compileFields(responseHeaders, 'responseHeaders', sayOf('responseHeaders')),
    mirror: compileMirror(mirror, sayOf('mirror')),
  };
}
