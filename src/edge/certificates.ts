import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type tls from 'node:tls';
import type { ServedCertificate } from '../certs/types.ts';
import { plainIp } from '../core/headers.ts';
import { normalizeAuthority } from '../core/host.ts';
import { createServerContext } from './tls-context.ts';
import { ticketKeyBytes, ticketKeyName, tickets } from './tls-tickets.ts';

/** Contexts that are kept ready: each is about 30 KB, and takes a third of a millisecond to make again. */
const maxContexts = 512;
/** Different chains above a leaf that are kept once for all who share them. */
const maxShared = 64;
/** How the id of an RSA certificate ends that is there beside an ECDSA one. */
const rsaMark = '+rsa';
const pemEnd = '-----END CERTIFICATE-----';

/** A certificate as handshakes use it. */
export class ServedEntry {
  readonly id: string;
  /** In normal form (core/host.ts): lower case, IPv6 in brackets; `*.example.com`. */
  readonly names: readonly string[];
  readonly isRsa: boolean;
  /** OpenSSL has refused it. */
  isBroken = false;
  readonly key: string;
  private readonly leaf: string;
  /** Above the leaf. */
  private readonly above: string;

  constructor({ id, names, chain, key }: ServedCertificate, share: (text: string) => string) {
    const end = chain.indexOf(pemEnd);
    const cut = end === -1 ? chain.length : end + pemEnd.length;
    this.id = id;
    this.names = names.map((name) => normalName(name) ?? name);
    this.isRsa = id.endsWith(rsaMark);
    this.leaf = flat(chain.slice(0, cut));
    this.above = share(chain.slice(cut));
    this.key = flat(key);
  }

  get chain(): string {
    return this.leaf + this.above;
  }

  /**
   * Whether it is a certificate for this host: RFC 9110 §7.4, a request for another is misdirected.
   * @param host in normal form: lower case, no final dot, no port; IPv6 in brackets
   */
  covers(host: string): boolean {
    return this.names.includes(host) || this.names.includes(wildcardOf(host));
  }
}

/**
 * The certificates of an edge, all in memory. What OpenSSL needs of one is made at its first handshake, and forgotten when
 * many others have been used since: ten thousand cost their PEM. A change is in force for the next handshake.
 */
export class CertificateTable {
  private readonly entries = new Map<string, ServedEntry>();
  private readonly byName = new Map<string, readonly ServedEntry[]>();
  /** Those of the names that are addresses, loopback's left out. */
  private readonly addresses = new Set<string>();
  /** The least recently used first. */
  private readonly contexts = new Map<ServedEntry, tls.SecureContext>();
  /** Those for clients that bring a ticket of ours. */
  private readonly resuming = new Map<ServedEntry, tls.SecureContext>();
  private readonly shared = new Map<string, string>();
  private readonly onBroken: (id: string, why: string) => void;
  private ticketKeys: readonly Buffer[] = [randomBytes(ticketKeyBytes)];
  private ticketKeyNames: readonly string[] = this.ticketKeys.map(ticketKeyName);

  /** @param onBroken is told once of each certificate that can't be served, because its PEM can't be read, say */
  constructor(onBroken: (id: string, why: string) => void) {
    this.onBroken = onBroken;
  }

  get size(): number {
    return this.entries.size;
  }

  /** Adds or replaces, by id. */
  save(certificates: readonly ServedCertificate[]): void {
    for (const certificate of certificates) {
      this.drop(certificate.id);
      const entry = new ServedEntry(certificate, (text) => this.share(text));
      this.entries.set(entry.id, entry);
      for (const name of new Set(entry.names)) {
        this.byName.set(name, [...(this.byName.get(name) ?? []), entry]);
        if (isAddress(name) && !isLoopback(name)) this.addresses.add(name);
      }
    }
  }

  /** Unknown ids are nothing. */
  remove(ids: readonly string[]): void {
    for (const id of ids) this.drop(id);
  }

  private drop(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    this.contexts.delete(entry);
    this.resuming.delete(entry);
    for (const name of new Set(entry.names)) {
      const left = this.byName.get(name)!.filter((other) => other !== entry);
      if (left.length > 0) this.byName.set(name, left);
      else {
        this.byName.delete(name);
        this.addresses.delete(name);
      }
    }
  }

  /** Keeps one of equal texts: most chains above a leaf are those of a few CAs. */
  private share(text: string): string {
    const known = this.shared.get(text);
    if (known !== undefined) return known;
    const kept = flat(text);
    if (this.shared.size >= maxShared) this.shared.clear();
    this.shared.set(kept, kept);
    return kept;
  }

  /**
   * Sessions are sealed with the first key from now on. The others open what they have sealed before, in the executable
   * (`tls-tickets.ts`). Keys of another length than `ticketKeyBytes` are left out; if none is left, the present ones stay.
   */
  setTicketKeys(keys: readonly Buffer[]): void {
    const usable = keys.filter((key) => key.length === ticketKeyBytes);
    if (usable.length === 0) return;
    // Contexts are made again with it, each at its next handshake.
    if (!usable[0].equals(this.ticketKeys[0])) this.contexts.clear();
    this.ticketKeys = usable;
    this.ticketKeyNames = usable.map(ticketKeyName);
  }

  /**
   * Finds the certificate for a handshake:
   * 1. one for the name; a name that is an address counts as one;
   * 2. one for `*.` and all but the name's first label.
   * A client that names none means an address, since RFC 6066 §3 has no form for those. So it gets
   * 3. one for the address that it has reached;
   * 4. one for the only address that there are certificates for, loopback aside: behind an address translation the one
   *    that was reached is not the one that was asked for.
   * Nobody gets a certificate for something else: it would be refused, and tell strangers who lives here.
   * Of several, one that the client can verify goes first, then one whose id is the name, then ECDSA, then the last that was saved.
   * @param serverName as the client sent it; undefined if it did not
   * @param localAddress what the client has reached
   * @param ecdsa the client can verify ECDSA
   */
  find(serverName: string | undefined, localAddress = '', ecdsa = true): ServedEntry | undefined {
    if (serverName === undefined) return this.findByAddress(localAddress, ecdsa);
    const name = normalName(serverName);
    if (name === undefined || name.startsWith('*')) return undefined;
    return this.best(name, ecdsa) ?? this.best(wildcardOf(name), ecdsa);
  }

  private findByAddress(localAddress: string, ecdsa: boolean): ServedEntry | undefined {
    const reached = this.best(normalName(plainIp(localAddress)) ?? '', ecdsa);
    if (reached !== undefined || this.addresses.size !== 1) return reached;
    for (const address of this.addresses) return this.best(address, ecdsa);
  }

  private best(name: string, ecdsa: boolean): ServedEntry | undefined {
    let best: ServedEntry | undefined;
    let most = 0;
    for (const entry of this.byName.get(name) ?? []) {
      if (entry.isBroken) continue;
      const verified = ecdsa || entry.isRsa ? 4 : 0;
      const own = entry.id === name || entry.id === name + rsaMark ? 2 : 0;
      const points = verified + own + (entry.isRsa ? 0 : 1);
      if (points < most) continue;
      best = entry;
      most = points;
    }
    return best;
  }

  /**
   * What OpenSSL works with; undefined if it can't.
   * @param ticketKeys names of the keys of the client's tickets: the first 16 bytes in hex
   */
  contextOf(entry: ServedEntry, ticketKeys: readonly string[] = []): tls.SecureContext | undefined {
    const resumes = tickets.open !== null && ticketKeys.some((name) => this.ticketKeyNames.includes(name));
    const kept = resumes ? this.resuming : this.contexts;
    const known = kept.get(entry);
    if (known !== undefined) {
      if (kept.size > maxContexts / 2) {
        // To the end: the first is the next to go.
        kept.delete(entry);
        kept.set(entry, known);
      }
      return known;
    }
    const made = this.create(entry);
    if (made === undefined) return undefined;
    if (resumes) tickets.open!(made, () => this.ticketKeys);
    for (const [oldest] of kept) {
      if (kept.size < maxContexts) break;
      kept.delete(oldest);
    }
    kept.set(entry, made);
    return made;
  }

  private create(entry: ServedEntry): tls.SecureContext | undefined {
    try {
      return createServerContext(entry.chain, entry.key, this.ticketKeys[0]);
    } catch (error) {
      entry.isBroken = true;
      this.onBroken(entry.id, (error as Error).message);
      return undefined;
    }
  }
}

/** Undefined for what is no name: other characters, empty or long labels, more than 253 bytes. */
export function normalName(name: string): string | undefined {
  if (isIP(name) === 6) return normalizeAuthority(`[${name}]`)?.host;
  if (name.startsWith('*.')) {
    const parent = normalName(name.slice(2));
    return parent && `*.${parent}`;
  }
  return name.includes(':') ? undefined : normalizeAuthority(name)?.host;
}

function wildcardOf(name: string): string {
  const dot = name.indexOf('.');
  return dot === -1 || isAddress(name) ? '' : `*${name.slice(dot)}`;
}

function isAddress(name: string): boolean {
  return name.startsWith('[') || isIP(name) !== 0;
}

function isLoopback(name: string): boolean {
  return name === '[::1]' || name.startsWith('127.');
}

/** A copy: part of a string keeps all of it. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
