import { normalizeAuthority } from './host.ts';
import { isMapping, type Kind, proven, type Say, show } from './pool-proof.ts';

export interface CompiledRedirect {
  /** Without a slash at its end where the request's path is put behind it. */
  readonly to: string;
  readonly status: number;
  readonly keepPath: boolean;
  /** How long the route's own prefix is, which is not kept. */
  readonly prefixLength: number;
}

const statuses = [301, 302, 303, 307, 308];
const defaultStatus = 308;
const maxLength = 2_048;

const status: Kind = { expected: '301, 302, 303, 307 or 308', is: (value) => statuses.includes(value as number) };
const to: Kind = {
  expected: 'such as https://www.example.com, or a path such as /new',
  is: (value) => typeof value === 'string' && value.length <= maxLength && (isPath(value) || isAddress(value)),
};
const keepPath: Kind = { expected: 'true or false', is: (value) => typeof value === 'boolean' };
const fields = { to, status, keepPath };

/** What no browser takes for another host: `//evil.example` and `/\evil.example` are. */
function isPath(text: string): boolean {
  return isPlain(text) && /^\/(?![/\\])/.test(text);
}

function isAddress(text: string): boolean {
  const authority = /^https?:\/\/([^/?#@\\]+)(?:[/?#]|$)/i.exec(text)?.[1];
  return isPlain(text) && authority !== undefined && normalizeAuthority(authority) !== undefined && URL.canParse(text);
}

/** Only what can stand in a URL. */
function isPlain(text: string): boolean {
  return /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/.test(text);
}

/** Proves an option's `redirect`. @param value anything @param prefix the route's own */
export function compileRedirect(value: unknown, prefix: string, say: Say): CompiledRedirect | null {
  const given = typeof value === 'string' ? { to: value } : value;
  if (!isMapping(given)) {
    say(`redirect is ${show(value)}; expected an address or a path, or a mapping with to`);
    return null;
  }
  if (given.to === undefined) say(`redirect.to is missing; expected ${to.expected}`);
  const good = proven(given, 'redirect', fields, say);
  if (good.to === undefined) return null;
  const where = good.to as string;
  const keeps = (good.keepPath ?? isBare(where)) as boolean;
  if (keeps && /[?#]/.test(where)) say(`redirect.to has a query or a fragment; expected none where the path is kept`);
  if (leadsBack(where, prefix))
    say(`redirect.to is ${show(where)}, which is this very route; expected one that leads out of it`);
  return Object.freeze({
    to: keeps ? where.replace(/\/$/, '') : where,
    status: (good.status ?? defaultStatus) as number,
    keepPath: keeps,
    prefixLength: prefix.length,
  });
}

/** An address without a path. */
function isBare(text: string): boolean {
  return /^https?:\/\/[^/?#]+\/?$/i.test(text);
}

/** The route's own path: it would go round for ever. One below it may be another route's. */
function leadsBack(where: string, prefix: string): boolean {
  return where.startsWith('/') && where.replace(/\/?(?:[?#].*)?$/, '') === prefix;
}

/**
 * Where a request is led: `to`, and behind it what follows the route's prefix, if that is kept. It is on the host of `to` whatever the request's
 * path is: never on one that a path such as `//evil.example` names.
 * @param path as sent, '/' at least
 * @param query with its `?`; '' for none
 */
export function locationOf({ to, keepPath, prefixLength }: CompiledRedirect, path: string, query: string): string {
  if (!keepPath) return to;
  const rest = escaped(path.slice(prefixLength));
  const location = to + (rest.startsWith('/') || rest === '' ? rest : `/${rest}`);
  const onHost = to === '' ? location.replace(/^\/*/, '/') : location;
  return onHost + escaped(query);
}

/** A target holds visible ASCII only; what of that is no URL character, and means something in HTML or to browsers, is escaped. */
function escaped(text: string): string {
  return text.replace(/[^A-Za-z0-9\-._~:/?[\]@!$&()*+,;=%]/g, (c) => {
    return `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
