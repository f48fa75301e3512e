import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  scrypt,
} from 'node:crypto';
import { StoreError } from './failure.ts';

/** The fewest characters of a passphrase. */
export const minPassphraseLength = 16;

/** 2^15 × 8 × 128 bytes: 32 MiB and some 0.2 s on a thread of its own, once a start; a raw key skips it. Part of the format. */
const scryptCost = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 };

const version = 'v1';
const nonceBytes = 12;
const tagBytes = 16;

/** Where a sealed value belongs. Each has a key of its own, and a value opens nowhere else. */
export type Place =
  | 'encryption.check_value'
  | 'certificates.private_key'
  | 'acme_accounts.private_key'
  | 'challenges.private_key'
  | 'ticket_keys.sealed';

/** A key, ready for use. Its bytes are not to be had from it. */
export interface SealKey {
  /** 16 hex digits that tell it from other keys. */
  readonly id: string;
  /**
   * AES-256-GCM under a random 96-bit nonce; the place, the row and the key's id are authenticated with it.
   * (NIST SP 800-38D allows 2^32 of these under one key: more than a server of certificates will ever write.)
   * @param row the row's primary key
   * @returns `v1.KEYID.BASE64URL(nonce, ciphertext, tag)`
   */
  seal(place: Place, row: string, text: string): string;
  /** What was sealed, or undefined if the value was changed, is of another place or row, or of another key. */
  open(place: Place, row: string, sealed: string): string | undefined;
}

/** The keys of an open database: one, until it is replaced by another. */
export interface Cipher {
  /** New values are sealed with it. */
  current: SealKey;
  /**
   * By id, the current one too. The next key is here before the database is moved to it, so that whoever finds it there can go
   * on with it; a past one stays, for what was read just before.
   */
  readonly known: Map<string, SealKey>;
}

/** A cipher of one key. */
export function cipherOf(key: SealKey): Cipher {
  return { current: key, known: new Map([[key.id, key]]) };
}

/** Opens a sealed value by whichever known key it was sealed with; undefined as `SealKey.open`. */
export function openSealed({ known }: Cipher, place: Place, row: string, sealed: string): string | undefined {
  const id = /^v1\.([0-9a-f]{16})\./.exec(sealed)?.[1] ?? '';
  return known.get(id)?.open(place, row, sealed);
}

/** A new salt, base64: made once for a database. */
export function newSalt(): string {
  return randomBytes(16).toString('base64');
}

/** The text of a new random key: 32 bytes, base64. */
export function newKeyText(): string {
  return randomBytes(32).toString('base64');
}

/**
 * The key that a text stands for: 32 bytes as 64 hex digits or as padded base64, else a passphrase (scrypt).
 * Space around it does not count.
 * @throws StoreError OO_STORE_KEY if it is too short
 */
export async function deriveKey(text: string, salt: string): Promise<SealKey> {
  const trimmed = text.trim();
  const raw = rawKey(trimmed);
  if (raw) return sealKey(raw, salt);
  if (trimmed.length < minPassphraseLength) {
    throw new StoreError(
      'OO_STORE_KEY',
      `The encryption key is too short: ${trimmed.length} characters.`,
      `Give 32 random bytes as hex or base64 (openssl rand -base64 32), or a passphrase of ${minPassphraseLength} characters or more.`,
    );
  }
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    // NFC: the same passphrase typed on two systems may be two sequences of code points.
    scrypt(trimmed.normalize('NFC'), Buffer.from(salt, 'base64'), 32, scryptCost, (error, derived) =>
      error ? reject(error) : resolve(derived),
    );
  });
  return sealKey(bytes, salt);
}

// Only padded base64, as tools print it: 43 letters may as well be a passphrase.
function rawKey(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/_-]{43}=$/.test(text)) return Buffer.from(text, 'base64');
  return undefined;
}

function sealKey(master: Buffer, salt: string): SealKey {
  const secret = createSecretKey(master);
  // The salt is the database's: under one key, too, a value of another database opens nowhere in this one.
  const derive = (what: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, Buffer.from(salt, 'base64'), `oo ${version} ${what}`, length));
  const id = derive('key id', 8).toString('hex');
  const prefix = `${version}.${id}.`;
  const keys = new Map<Place, KeyObject>();
  const keyOf = (place: Place): KeyObject => {
    const known = keys.get(place);
    if (known) return known;
    const key = createSecretKey(derive(place, 32));
    keys.set(place, key);
    return key;
  };
  const identity = (place: Place, row: string) => Buffer.from(JSON.stringify([version, id, place, row]));
  return {
    id,
    seal(place, row, text) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', keyOf(place), nonce, { authTagLength: tagBytes });
      cipher.setAAD(identity(place, row));
      const bytes = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
      return prefix + Buffer.concat(bytes).toString('base64url');
    },
    open(place, row, sealed) {
      if (!sealed.startsWith(prefix)) return undefined;
      const bytes = Buffer.from(sealed.slice(prefix.length), 'base64url');
      if (bytes.length < nonceBytes + tagBytes) return undefined;
      const end = bytes.length - tagBytes;
      const nonce = bytes.subarray(0, nonceBytes);
      const decipher = createDecipheriv('aes-256-gcm', keyOf(place), nonce, { authTagLength: tagBytes });
      decipher.setAAD(identity(place, row));
      decipher.setAuthTag(bytes.subarray(end));
      const text = decipher.update(bytes.subarray(nonceBytes, end), undefined, 'utf8');
      try {
        return text + decipher.final('utf8');
      } catch {
        return undefined;
      }
    },
  };
}
