import type { Scope } from './access.ts';

/** A token, without what it is made of. */
export interface Token {
  readonly id: string;
  /** At least one: who has none may do nothing. */
  readonly scopes: readonly Scope[];
  /** The one service that `instance:write` is for; '' for all. */
  readonly slug: string;
  /** What a person said of it; '' for nothing. */
  readonly note: string;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms; 0 for never. */
  readonly expiresAt: number;
}

/** What a store found under a hash. */
export interface FoundToken {
  readonly token: Token;
  /** As it is stored. */
  readonly hash: string;
}

/** Where tokens are kept (db/ has it). Methods reject with errors as `asStoreFailure` knows them. */
export interface TokenStore {
  /** All, by when they were created; expired ones too. */
  list(): Promise<readonly Token[]>;
  /** @param hash SHA-256 of the token's text, lower case hex @returns expired ones too */
  find(hash: string): Promise<FoundToken | undefined>;
  /** The id and the hash are new. */
  add(token: Token, hash: string): Promise<void>;
  /** @returns whether it was there */
  remove(id: string): Promise<boolean>;
}

/** A token that was just made: the only time that its text is known. */
export interface CreatedToken extends Token {
  /** `oo_` and 43 characters of base64url. */
  readonly token: string;
}

/** What a new token is to be. */
export type TokenRequest = Pick<Token, 'scopes' | 'slug'> & Partial<Pick<Token, 'note' | 'expiresAt'>>;

const prefix = 'oo_';
const secretBytes = 32;
const form = /^oo_[A-Za-z0-9_-]{43}$/;

/** Whether a text can be a token at all. */
export function isTokenForm(text: string): boolean {
  return form.test(text);
}

const slugForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a service can have this name: as the registry sees it. */
export function isSlug(text: string): boolean {
  return slugForm.test(text);
}

/** SHA-256 of a token's text, lower case hex. With 256 bits of chance behind it, a salt and rounds would add nothing. */
export async function hashOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token));
  return hex(new Uint8Array(digest));
}

/**
 * Whether two hashes are one, in a time that says nothing of where they differ. What is looked up and compared is only ever SHA-256 of what
 * somebody sent: who measures the look-up learns of hashes, and to come nearer to a stored one would have to find texts with a wanted hash.
 */
export function isSameHash(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

/**
 * Makes a token and stores its hash.
 * @param now epoch ms
 */
export async function createToken(store: TokenStore, request: TokenRequest, now: number): Promise<CreatedToken> {
  const text = `${prefix}${base64url(random(secretBytes))}`;
  const { scopes, slug, note = '', expiresAt = 0 } = request;
  const token: Token = { id: `tok_${hex(random(8))}`, scopes, slug, note, createdAt: now, expiresAt };
  await store.add(token, await hashOf(text));
  return { ...token, token: text };
}

/** @param now epoch ms */
export function isExpired({ expiresAt }: Token, now: number): boolean {
  return expiresAt !== 0 && expiresAt <= now;
}

function random(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
