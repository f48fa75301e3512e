/** A host as a route's id or a request names it, in normal form. */
export interface Authority {
  /** Lower case, no trailing dot; IPv4 dotted; IPv6 canonical in brackets. */
  readonly host: string;
  /** 1 to 65535, or 0 where none is named. */
  readonly port: number;
}

/** A route's id, taken apart. */
export interface RouteId extends Authority {
  /** '' for the whole host, else '/app': plain segments, no trailing slash. */
  readonly prefix: string;
}

const maxNameLength = 253;
const nameForm = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/;
const endsInNumber = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/;
const ipv4Form =
  /^(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}$/;
const ipv6Alphabet = /^[0-9A-Fa-f:.]{2,45}$/;
const portForm = /^[0-9]{1,5}$/;
// RFC 3986 pchar, without '%' and ';': these have a second reading (path.ts), so no prefix may hold them.
const prefixForm = /^(?:\/[A-Za-z0-9\-._~!$&'()*+,=:@]+)*$/;
const dotSegment = /\/\.\.?(?:\/|$)/;

/**
 * Brings the authority of a request (a Host field, say) to normal form.
 * @returns undefined if it is not exactly one valid host with an optional port: the caller replies OO_BAD_HOST.
 *   Names in the forms that URL parsers read as IPv4 (`127.1`, `0x7f000001`) count as invalid: nobody may read them in two ways.
 */
export function normalizeAuthority(authority: string): Authority | undefined {
  const hostEnd = authority.startsWith('[') ? authority.indexOf(']') + 1 : authority.indexOf(':');
  const host = normalizeHost(hostEnd > 0 ? authority.slice(0, hostEnd) : hostEnd === 0 ? '' : authority);
  if (host === undefined) return undefined;
  const rest = hostEnd > 0 ? authority.slice(hostEnd) : '';
  if (rest === '' || rest === ':') return { host, port: 0 };
  const port = rest.startsWith(':') ? parsePort(rest.slice(1)) : undefined;
  return port === undefined ? undefined : { host, port };
}

/** @returns 1 to 65535, or undefined for anything else */
export function parsePort(text: string): number | undefined {
  if (!portForm.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Name, IPv4 or bracketed IPv6 → normal form; undefined if it is none of them. */
function normalizeHost(host: string): string | undefined {
  if (host.startsWith('[')) return canonicalIpv6(host.slice(1, -1));
  const bare = host.endsWith('.') ? host.slice(0, -1) : host;
  // The form is ASCII only, and looked at before lower-casing: U+212A would become a 'k'.
  if (bare.length > maxNameLength || !nameForm.test(bare)) return undefined;
  const name = bare.toLowerCase();
  return endsInNumber.test(name) && !ipv4Form.test(name) ? undefined : name;
}

/** `0:0:0:0:0:0:0:1` → `[::1]`; undefined if it is not an IPv6 address (zones are not for hosts). */
function canonicalIpv6(address: string): string | undefined {
  if (!ipv6Alphabet.test(address) || !address.includes(':')) return undefined;
  const url = `http://[${address}]/`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

/**
 * Takes a route's id apart: `host`, `host:port`, `host/path`, `*.example.com`, `*`, each with or without port and path.
 * A `*.` covers exactly one label, as in a certificate: `*.example.com` is `a.example.com`, not `a.b.example.com`
 * and not `example.com`. Unicode names become punycode; IPv6 may come without brackets; one trailing `/` is dropped.
 * A path is in plain form: no `.`, `..` or empty segments, no `%`, `;`, `\`, query or fragment, ASCII only. That a client
 * could write the same path with escapes is the path policy's business (path.ts).
 * @returns what is wrong and what was expected, as one sentence, if it is not an id
 */
export function parseRouteId(id: string): RouteId | string {
  if (typeof id !== 'string' || id === '')
    return 'expected a host, or a host and a path: app.example.com or app.example.com/api';
  if (id.includes('://')) return 'has a scheme; expected only a host and perhaps a path: app.example.com/api';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\s\u0000-\u0020\u007f]/.test(id))
    return 'has white space or a control character; expected a host and perhaps a path';
  if (id.includes('@') && !id.slice(0, id.indexOf('@')).includes('/'))
    return 'has a user name; expected only a host and perhaps a path';
  const slash = id.indexOf('/');
  const prefix = parsePrefix(slash === -1 ? '' : id.slice(slash));
  if (typeof prefix !== 'string') return prefix.fault;
  const authority = parseIdHost(slash === -1 ? id : id.slice(0, slash));
  return typeof authority === 'string' ? authority : { ...authority, prefix };
}

/** The one spelling of an id that equal ids share; the key of a route. */
export function formatRouteId({ host, port, prefix }: RouteId): string {
  return port === 0 ? host + prefix : `${host}:${port}${prefix}`;
}

function parsePrefix(path: string): string | { fault: string } {
  const prefix = path.endsWith('/') ? path.slice(0, -1) : path;
  if (/[?#]/.test(prefix)) return { fault: 'has a query or fragment; expected only a host and a path' };
  if (dotSegment.test(prefix)) return { fault: "has a '.' or '..' segment; expected the path that it comes to" };
  if (prefix.endsWith('/') || prefix.includes('//'))
    return { fault: "has an empty path segment ('//'); expected single slashes" };
  if (prefixForm.test(prefix)) return prefix;
  return {
    fault: "has a character that its path can't have; expected letters, digits and -._~!$&'()*+,=:@ between slashes",
  };
}

function parseIdHost(text: string): Authority | string {
  const port = text === '*' || text.startsWith('*:') ? anyPort(text.slice(1)) : undefined;
  if (port !== undefined) return typeof port === 'string' ? port : { host: '*', port };
  const wild = text.startsWith('*.');
  const name = wild ? text.slice(2) : text;
  if (name.includes('*')) return "has a '*' in another place than the first label; expected *.example.com or *";
  const bare = !name.startsWith('[') && name.indexOf(':') !== name.lastIndexOf(':');
  const authority = normalizeAuthority(bare ? `[${name}]` : asciiName(name));
  if (authority === undefined) return badHost(name);
  if (!wild) return authority;
  if (authority.host.startsWith('[') || ipv4Form.test(authority.host))
    return "has '*.' before an address; expected a name: *.example.com";
  return { host: `*.${authority.host}`, port: authority.port };
}

function anyPort(rest: string): number | string {
  if (rest === '' || rest === ':') return 0;
  return parsePort(rest.slice(1)) ?? 'has a bad port; expected 1 to 65535';
}

function badHost(name: string): string {
  const colon = name.startsWith('[') ? name.indexOf(']:') + 1 : name.indexOf(':');
  const hostOk = colon > 0 && normalizeAuthority(asciiName(name.slice(0, colon))) !== undefined;
  if (hostOk) return 'has a bad port; expected 1 to 65535';
  return `has no valid host; expected a name, an IPv4 or an IPv6 address, or * or *.example.com`;
}

/** `bücher.example:80` → `xn--bcher-kva.example:80`; anything that is not a Unicode name stays as it is. */
function asciiName(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range
  if (/^[\u0000-\u007f]*$/.test(text) || /[%/\\?#@[\]]/.test(text)) return text;
  const colon = text.indexOf(':');
  const name = colon === -1 ? text : text.slice(0, colon);
  const url = `http://${name}/`;
  return URL.canParse(url) ? new URL(url).hostname + text.slice(name.length) : text;
}
