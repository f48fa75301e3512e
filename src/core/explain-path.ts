import { ambiguity, otherReadings } from './path.ts';

/** The other readings of a path; empty where it has one only, or is refused anyway. */
export function readingsOf(path: string): readonly string[] {
  return ambiguity(path) === 'several' ? otherReadings(path).filter((reading) => reading !== path) : [];
}

/** Why the path policy refuses a path, whatever the routes, as one line; undefined: it does not. */
export function pathProblem(path: string): string | undefined {
  if (ambiguity(path) !== 'refused') return undefined;
  const text = `the path ${path}`;
  if (!path.startsWith('/')) return `${text} does not begin with a slash`;
  if (path.includes('\\')) return `${text} has a backslash, which some upstreams read as a slash`;
  if (/[?#]/.test(path)) return `${text} has a raw ? or #`;
  if (/[^\x21-\x7e]/.test(path)) return `${text} has a character that no path has raw: it has to be escaped`;
  const bad = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path)?.[0];
  if (bad !== undefined) return `${text} has '${bad}', which is no escape: it takes two hex digits`;
  if (path.includes('%00')) return `${text} has %00, which ends a text for some upstreams`;
  if (/%[cefCEF]/.test(path) && !/(?:^|[/\\;]|%2[ef]|%5c)\.|%2e/i.test(path))
    return `${text} has bytes that are no valid UTF-8: an overlong form of another character`;
  return `${text} has a segment . or .. in some spelling: what is matched would not be what an upstream reads`;
}
