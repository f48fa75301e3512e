import { normalizeAuthority, parsePort } from './host.ts';
import type { FieldPlan, Scheme } from './types.ts';

/**
 * Fields for one connection only (RFC 9110 §7.6.1). Those that Connection names, and Transfer-Encoding with all other framing, are
 * the transport's business, which alone knows them. Trailer stays: trailers are sent on.
 */
const hopByHop = ['connection', 'keep-alive', 'te', 'upgrade'];
const forwarded = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'x-real-ip'];

// `proxy` would be HTTP_PROXY to a CGI program (httpoxy); an upgrade to h2c is never made.
const ours = [...hopByHop, 'http2-settings', 'proxy'];

const fromAnyone: FieldPlan = Object.freeze({
  drop: [...ours, 'forwarded', 'x-real-ip'],
  dropPrefixes: ['proxy-', 'x-forwarded-'],
  capture: [],
  keepUnderscores: false,
});

const fromTrusted: FieldPlan = Object.freeze({
  drop: ours,
  dropPrefixes: ['proxy-'],
  capture: forwarded,
  keepUnderscores: false,
});

/** Names that stay even if Connection names them (attack 23): without them the message would be another. */
const neverNamed = new Set(['host', 'content-length']);

/** What happens to a request's fields. From a trusted proxy what it says of the client is captured; else it is dropped. */
export function requestPlan(trusted: boolean): FieldPlan {
  return trusted ? fromTrusted : fromAnyone;
}

/** What happens to a response's fields. Proxy-Status (RFC 9209) is end to end, so there is no `proxy-` prefix here. */
export const responsePlan: FieldPlan = Object.freeze({
  drop: [...hopByHop, 'proxy-connection', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization'],
  dropPrefixes: [],
  capture: [],
  keepUnderscores: true,
});

/** What is known of the client of one request. */
export interface Forwarding {
  /** The peer's address; an IPv4 address mapped into IPv6 is written as IPv4. '' if it is not known. */
  readonly clientIp: string;
  readonly scheme: Scheme;
  /** The client's Host as sent. */
  readonly host: string;
  /** The port that the client reached. */
  readonly port: number;
  /** Whether the peer is a trusted proxy, so that `prior` counts. Default false. */
  readonly trusted?: boolean;
  /** The HTTP version that the client speaks with us. Default 1.1. */
  readonly version?: '1.1' | '2.0';
  /** Captured values by field name in lower case; several lines of one field joined with ', '. */
  readonly prior?: Readonly<Record<string, string | undefined>>;
}

/** The fields that tell the upstream of the client, as names and values, in the order they are sent. */
export function forwardedFields(forwarding: Forwarding): [name: string, value: string][] {
  const { clientIp, scheme, host, port, trusted, prior, version = '1.1' } = forwarding;
  const ip = plainIp(clientIp);
  const known = trusted && prior !== undefined ? fromPrior(prior, scheme, port) : undefined;
  const fields: [string, string][] = [
    ['X-Forwarded-For', known?.chain && ip ? `${known.chain}, ${ip}` : (known?.chain ?? ip)],
    ['X-Forwarded-Proto', known?.scheme ?? scheme],
    ['X-Forwarded-Host', known?.host ?? host],
    ['X-Forwarded-Port', String(known?.port ?? port)],
    ['X-Real-IP', known?.client ?? ip],
    ['Via', `${version} oo`],
  ];
  return fields.filter(([, value]) => value !== '' && isOneLine(value));
}

/** The same as lines for the end of a head: each `Name: value\r\n`. A value that could not stand in one line is left out. */
export function forwardedLines(forwarding: Forwarding): string {
  const { clientIp, scheme, host, port, trusted, version = '1.1' } = forwarding;
  // Nearly all requests: nobody before us to listen to, and nothing odd in what the connection says of itself.
  if (!trusted && clientIp !== '' && host !== '' && isOneLine(host) && isOneLine(clientIp)) {
    const ip = plainIp(clientIp);
    return `X-Forwarded-For: ${ip}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Host: ${host}\r\nX-Forwarded-Port: ${port}\r\nX-Real-IP: ${ip}\r\nVia: ${version} oo\r\n`;
  }
  return forwardedFields(forwarding)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
}

const goneBy = new Map(
  [fromAnyone, fromTrusted, responsePlan].map((plan) => [plan, new Set([...plan.drop, ...plan.capture])]),
);

/**
 * The fields that a transport over Headers sends on: not those of the plan, and not those that Connection names. Each request pays for this twice: forEach takes
 * a sixth of what Deno's iterators take, and pairs cost no other Headers.
 * @param plan one of this file's
 */
export function keptFields(from: Headers, plan: FieldPlan): [name: string, value: string][] {
  const gone = goneBy.get(plan)!;
  const connection = from.get('connection');
  const named =
    connection === null || connection === 'keep-alive'
      ? undefined
      : new Set(connection.toLowerCase().split(/[ \t]*,[ \t]*/));
  const kept: [string, string][] = [];
  from.forEach((value, name) => {
    if (gone.has(name) || (named?.has(name) && !neverNamed.has(name))) return;
    if (!plan.keepUnderscores && name.includes('_')) return;
    for (const prefix of plan.dropPrefixes) if (name.startsWith(prefix)) return;
    kept.push([name, value]);
  });
  return kept;
}

/** `::ffff:10.0.0.1` → `10.0.0.1`; anything else as it is. */
export function plainIp(address: string): string {
  const mapped = /^::ffff:([0-9]+\.[0-9.]+)$/i.exec(address);
  return mapped === null ? address : mapped[1];
}

/** What a trusted proxy says of its client, as far as it is valid. */
function fromPrior(prior: Readonly<Record<string, string | undefined>>, scheme: Scheme, port: number) {
  const chain = listOf(prior['x-forwarded-for']);
  const proto = first(prior['x-forwarded-proto'])?.toLowerCase();
  const host = first(prior['x-forwarded-host']);
  const authority = host === undefined ? undefined : normalizeAuthority(host);
  const priorScheme = proto === 'http' || proto === 'https' ? proto : undefined;
  const realIp = first(prior['x-real-ip']);
  // The last entry is what the trusted proxy itself added; those before it may be the client's own invention.
  const last = chain.at(-1);
  return {
    chain: chain.length > 0 ? chain.join(', ') : undefined,
    scheme: priorScheme,
    host: authority === undefined ? undefined : host,
    port: parsePort(first(prior['x-forwarded-port']) ?? '') ?? portOf(authority?.port, priorScheme, scheme, port),
    client: isAddress(realIp) ? plainIp(realIp) : isAddress(last) ? plainIp(last) : undefined,
  };
}

/** Without a port of its own, what the trusted proxy says of scheme and host decides. */
function portOf(named: number | undefined, prior: Scheme | undefined, scheme: Scheme, port: number): number {
  if (named) return named;
  if (prior === undefined || prior === scheme) return port;
  return prior === 'https' ? 443 : 80;
}

function listOf(value: string | undefined): string[] {
  if (value === undefined || !isOneLine(value)) return [];
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
}

/** The first of a list is the nearest to the client. */
function first(value: string | undefined): string | undefined {
  return listOf(value)[0];
}

function isAddress(text: string | undefined): text is string {
  return (
    text !== undefined &&
    normalizeAuthority(text.includes(':') ? `[${text}]` : `${text}`) !== undefined &&
    /^[0-9A-Fa-f:.]+$/.test(text)
  );
}

/** Visible ASCII, spaces and tabs: what can stand in one line of a head. */
function isOneLine(value: string): boolean {
  return /^[\t\u0020-\u007e]*$/.test(value);
}
