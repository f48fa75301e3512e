import { normalizeAuthority, parsePort } from './host.ts';
import { ambiguity } from './path.ts';
import type { Target } from './types.ts';

const example = 'http://10.0.0.2:3000';
const withScheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/;
const defaultPorts = { http: 80, https: 443, h2c: 80 } as const;

type TargetScheme = keyof typeof defaultPorts;

/**
 * Parses a route's target: `http://…`, `https://…` or `h2c://…` (HTTP/2 without TLS, as gRPC servers speak it), or without a scheme,
 * which means `http://`.
 * Its own path, if it has one, is put before the request's.
 * @returns what is wrong and what was expected, as one sentence, if it is not a target
 */
export function parseTarget(text: string): Target | string {
  if (typeof text !== 'string' || text === '') return `is empty; expected an address such as ${example}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\s\u0000-\u0020\u007f]/.test(text)) return `has white space or a control character; expected ${example}`;
  const match = withScheme.exec(text);
  const scheme = match === null ? 'http' : match[1].toLowerCase();
  if (scheme !== 'http' && scheme !== 'https' && scheme !== 'h2c')
    return `has the unknown scheme '${scheme}'; expected http://, https:// or h2c://`;
  return parseAddress(scheme, match === null ? text : match[2]);
}

function parseAddress(scheme: TargetScheme, rest: string): Target | string {
  const end = rest.search(/[/?#\\]/);
  const authority = end === -1 ? rest : rest.slice(0, end);
  if (authority.includes('@')) return 'has a user name or password; expected only a host and port';
  if (/[?#]/.test(rest)) return 'has a query or fragment; expected only a host, a port and a path';
  const address = parseHostPort(authority, scheme);
  if (typeof address === 'string') return address;
  const basePath = parseBasePath(end === -1 ? '' : rest.slice(end));
  if (basePath === undefined)
    return "has a path with '.', '..', '//', '\\' or an escaped separator; expected a plain path";
  const { host, port } = address;
  return Object.freeze({
    tls: scheme === 'https',
    http2: scheme === 'h2c',
    hostname: host.startsWith('[') ? host.slice(1, -1) : host,
    port,
    authority: port === defaultPorts[scheme] ? host : `${host}:${port}`,
    basePath,
    href: `${scheme}://${host}:${port}${basePath}`,
  });
}

function parseHostPort(authority: string, scheme: TargetScheme): { host: string; port: number } | string {
  if (authority === '' || authority.startsWith(':')) return `has no host; expected ${example}`;
  const colon = authority.lastIndexOf(':');
  const hasPort = colon > authority.lastIndexOf(']');
  if (hasPort && authority.includes(':') && !authority.startsWith('[') && authority.indexOf(':') !== colon)
    return 'has an IPv6 address without brackets; expected http://[::1]:3000';
  const port = hasPort ? parsePort(authority.slice(colon + 1)) : defaultPorts[scheme];
  if (port === undefined) return 'has a bad port; expected 1 to 65535';
  const host = targetHost(hasPort ? authority.slice(0, colon) : authority);
  return host === undefined ? `has no valid host; expected a name or address, such as ${example}` : { host, port };
}

/** Names may be Unicode; the trailing dot of an absolute name is dropped. */
function targetHost(host: string): string | undefined {
  const plain = normalizeAuthority(host);
  if (plain !== undefined) return plain.host;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range
  if (/^[\u0000-\u007f]*$/.test(host) || host.includes('%') || !URL.canParse(`http://${host}/`)) return undefined;
  return normalizeAuthority(new URL(`http://${host}/`).hostname)?.host;
}

/** '' or '/base'; non-ASCII is escaped; undefined if the path has more than one reading that matters. */
function parseBasePath(path: string): string | undefined {
  const base = path.endsWith('/') ? path.slice(0, -1) : path;
  if (base === '') return '';
  if (!base.startsWith('/') || base.endsWith('/') || base.includes('//') || /%(?:2f|5c)/i.test(base)) return undefined;
  const escaped = base.replace(/[^\u0021-\u007e]/gu, encodeURIComponent);
  return ambiguity(escaped) === 'refused' ? undefined : escaped;
}
