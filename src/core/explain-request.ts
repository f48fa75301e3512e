import { forwardedFields, requestPlan } from './headers.ts';
import type { Scheme } from './types.ts';

/** A request that somebody asks about, as a client would send it. */
export interface AskedRequest {
  readonly scheme: Scheme;
  /** Its Host. */
  readonly authority: string;
  /** The port that it is sent to. */
  readonly port: number;
  /** Escapes and all; '/' at least. */
  readonly path: string;
  /** With its `?`; '' for none. */
  readonly query: string;
  readonly method: string;
  /** Names in lower case; of several lines of one name each is there. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The client's address. */
  readonly from: string;
}

const form = /^(?:(https?):\/\/)?([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?$/is;

/**
 * Takes a URL apart as it stands: escapes and dot segments stay, since they are what is asked about.
 * @param url with or without its scheme
 * @param scheme of one without
 * @returns what is wrong with it, as one sentence, if it is none
 */
export function readAskedUrl(
  url: string,
  scheme: Scheme,
): Pick<AskedRequest, 'scheme' | 'authority' | 'port' | 'path' | 'query'> | string {
  const [, given, authority, path, query = ''] = form.exec(url) ?? [];
  const expected = 'expected such as https://app.example.com/api';
  if (authority === undefined || url.length > 8_192) return `it is no URL; ${expected}`;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url) && given === undefined)
    return `its scheme is not http or https; ${expected}`;
  if (authority === '') return `it names no host; ${expected}`;
  if (authority.includes('@')) return `it has a user name, which is no part of a request's host; ${expected}`;
  const named = (given?.toLowerCase() as Scheme | undefined) ?? scheme;
  const port = Number(/:(\d{1,5})$/.exec(authority)?.[1] ?? 0) || (named === 'https' ? 443 : 80);
  return { scheme: named, authority, port, path: asSent(path) || '/', query: asSent(query) };
}

/** Browsers and curl escape what no request line can have raw. */
function asSent(text: string): string {
  return text.replace(/[^\x21-\x7e]+/gu, (raw) => encodeURIComponent(raw.toWellFormed()));
}

/** A field's values, joined; '' for none. @param name in lower case */
export function fieldOf({ fields }: Pick<AskedRequest, 'fields'>, name: string): string {
  const values = fields.filter(([one]) => one === name).map(([, value]) => value);
  return values.join(name === 'cookie' ? '; ' : ', ');
}

/** What becomes of a request's fields on the way to the upstream, before the rules of its route. */
export interface FieldsView {
  /** Those of the request that are not sent on as they came, each with why. */
  readonly dropped: readonly { readonly name: string; readonly why: string }[];
  /** Those that the upstream gets beside what is left. */
  readonly added: readonly { readonly name: string; readonly value: string }[];
}

/** Named by Connection, these stay all the same. */
const neverNamed = ['host', 'content-length'];

/** @param trusted the client is a proxy whose X-Forwarded-* fields are believed @param version what it speaks */
export function explainFields(request: AskedRequest, trusted: boolean, version: '1.1' | '2.0'): FieldsView {
  const { fields, from, scheme, authority, port } = request;
  const plan = requestPlan(trusted);
  const named = fieldOf(request, 'connection')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  const whyDropped = (name: string): string | undefined => {
    if (plan.capture.includes(name)) return 'it is read, and said anew: the client is a trusted proxy';
    if (plan.drop.includes(name) || plan.dropPrefixes.some((prefix) => name.startsWith(prefix))) {
      const isSaid = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/.test(name);
      return isSaid ? 'anybody may write it: only what a trusted proxy says counts' : 'it is for one connection only';
    }
    if (named.includes(name) && !neverNamed.includes(name)) return 'Connection names it';
    if (!plan.keepUnderscores && name.includes('_')) return 'it has a _ in its name, which many take for a -';
    return undefined;
  };
  const names = [...new Set(fields.map(([name]) => name))];
  const prior = Object.fromEntries(plan.capture.map((name) => [name, fieldOf(request, name) || undefined]));
  const added = forwardedFields({ clientIp: from, scheme, host: authority, port, trusted, version, prior });
  return {
    dropped: names.flatMap((name) => {
      const why = whyDropped(name);
      return why === undefined ? [] : [{ name, why }];
    }),
    added: added.map(([name, value]) => ({ name, value })),
  };
}
