import type { FailureCode } from './failure.ts';
import { ambiguity, otherReadings } from './path.ts';

/** First segments that are the service port's own: no service can be reached under them. `/` itself is its own as well. */
export const builtInSegments = ['docs', 'healthz', 'openapi.json', 'proxy-svc', 'registry-svc', 'v1'] as const;

const ours: ReadonlySet<string> = new Set(builtInSegments);

/** What a path on the service port says: a slug (which may be unknown, or none at all), or that it is the port's own. */
export type ServicePath =
  | { readonly kind: 'slug'; readonly slug: string }
  | { readonly kind: 'built-in' }
  | { readonly kind: 'reply'; readonly code: FailureCode };

const builtIn: ServicePath = Object.freeze({ kind: 'built-in' });
const badPath: ServicePath = Object.freeze({ kind: 'reply', code: 'OO_BAD_PATH' });

/**
 * Reads a path on the service port. Its first segment is taken as it is, and must be the same in whatever way an upstream may read the
 * path (path.ts): else what is matched would not be what is forwarded.
 * @param path as sent, escapes and all, without the query
 * @param plain as in `decidePath`: it has one reading only
 */
export function readServicePath(path: string, plain: boolean): ServicePath {
  const slug = firstSegment(path);
  if (!plain) {
    const readings = ambiguity(path);
    if (readings === 'refused') return badPath;
    if (readings === 'several' && otherReadings(path).some((reading) => firstSegment(reading) !== slug)) return badPath;
  }
  if (slug === '') return path.length < 2 ? builtIn : badPath;
  return ours.has(slug) ? builtIn : { kind: 'slug', slug };
}

/** What stands between a path's first two slashes: `/user-svc/login` and `/user-svc` give `user-svc`, `/` gives ''. */
export function firstSegment(path: string): string {
  const edge = path.indexOf('/', 1);
  return edge === -1 ? path.slice(1) : path.slice(1, edge);
}
