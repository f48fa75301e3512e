import { isMapping, type Kind, proven, type Say, shorten, show } from './pool-proof.ts';
import { parseScryptHash, type ScryptHash } from './scrypt-hash.ts';

/** A user's password, as it is asked for. */
export interface KnownPassword {
  readonly hash: ScryptHash;
  /** As it was written: what is remembered of a password is remembered for this one only. */
  readonly text: string;
}

export interface CompiledBasicAuth {
  /** The value of WWW-Authenticate. */
  readonly challenge: string;
  readonly users: ReadonlyMap<string, KnownPassword>;
  /** What an unknown user's password is compared with, so that it takes as long as a known one's; it is nobody's. */
  readonly nobody: KnownPassword;
}

/** What a client says of itself. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

const maxUsers = 10_000;
const maxRealmLength = 100;
// RFC 7617 §2: a colon ends the name; no control characters.
const userForm = /^[^:\p{Cc}]{1,200}$/u;
// Two characters would have to be quoted in it, and nobody misses them.
const realmForm = /^[\u0020\u0021\u0023-\u005b\u005d-\u007e]*$/;
/** Longer ones are nobody's. */
const maxCredentials = 2_048;

const realmKind: Kind = {
  expected: `up to ${maxRealmLength} visible ASCII characters, without " and \\`,
  is: (value) => typeof value === 'string' && value.length <= maxRealmLength && realmForm.test(value),
};
const usersKind: Kind = {
  expected: `a mapping of 1 to ${maxUsers} names, each to what \`oo hash\` prints`,
  is: (value) => isMapping(value) && Object.keys(value).length > 0 && Object.keys(value).length <= maxUsers,
};

/** Proves an option's `basicAuth`. @param value anything; no message ever quotes what might be a password */
export function compileBasicAuth(value: unknown, say: Say): CompiledBasicAuth | null {
  if (!isMapping(value)) {
    say(`basicAuth is ${isText(value) ? 'a text' : show(value)}; expected a mapping with users`);
    return null;
  }
  if (value.users === undefined) say(`basicAuth.users is missing; expected ${usersKind.expected}`);
  const { users: asIs, ...rest } = value;
  const { realm = 'oo' } = proven(rest, 'basicAuth', { realm: realmKind }, (message) =>
    say(message.replace('; expected one of realm', '; expected one of realm, users')),
  );
  const users = compileUsers(asIs, say);
  if (users.size === 0) return null;
  const costOf = ({ hash: { n, r, p } }: KnownPassword) => n * r * p;
  const [dearest] = [...users.values()].sort((a, b) => costOf(b) - costOf(a));
  const { n, r, p, salt, hash } = dearest.hash;
  const nobody = Object.freeze({ hash: { n, r, p, salt, hash: new Uint8Array(hash.length) }, text: '' });
  return Object.freeze({ challenge: `Basic realm="${realm}", charset="UTF-8"`, users, nobody });
}

function compileUsers(value: unknown, say: Say): Map<string, KnownPassword> {
  const users = new Map<string, KnownPassword>();
  if (value === undefined) return users;
  if (!usersKind.is(value)) {
    say(`basicAuth.users is ${isText(value) ? 'a text' : show(value)}; expected ${usersKind.expected}`);
    return users;
  }
  for (const [name, text] of Object.entries(value as object)) {
    const user = name.normalize('NFC');
    const hash = parseScryptHash(text);
    if (!userForm.test(user)) say(`basicAuth.users has the name '${shorten(name)}'; expected one without ':'`);
    else if (users.has(user)) say(`basicAuth.users has '${shorten(name)}' twice`);
    else if (typeof hash === 'string') say(`basicAuth.users['${shorten(name)}'] ${hash}`);
    else users.set(user, Object.freeze({ hash, text: text as string }));
  }
  return users;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/**
 * What a client says of itself (RFC 7617): names and passwords are UTF-8, in the form NFC.
 * @param field the value of Authorization, one character a byte
 * @returns undefined if it says nothing, or nothing that is understood
 */
export function readCredentials(field: string): Credentials | undefined {
  const token = field.length <= maxCredentials ? /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(field)?.[1] : undefined;
  if (token === undefined) return undefined;
  const text = decodeUtf8(token);
  const colon = text?.indexOf(':') ?? -1;
  if (text === undefined || colon < 1) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ascii = /^[\0-\x7f]*$/;

function decodeUtf8(token: string): string | undefined {
  try {
    const text = atob(token);
    if (ascii.test(text)) return text;
    return utf8.decode(Uint8Array.from(text, (c) => c.charCodeAt(0))).normalize('NFC');
  } catch {
    return undefined;
  }
}
