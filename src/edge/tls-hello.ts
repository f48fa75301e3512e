/** What a client asks for in its first message (RFC 8446 §4.1.2), as far as it decides what it is answered with. */
export interface ClientHello {
  /** As sent, each byte a character; undefined if it names none. */
  readonly serverName: string | undefined;
  /** In the client's order; empty if it says nothing. */
  readonly protocols: readonly string[];
  /** It can verify an ECDSA certificate. */
  readonly ecdsa: boolean;
  /** The names of the keys that its session tickets were sealed with, 16 bytes each in hex; mostly none or one. */
  readonly ticketKeys: readonly string[];
}

/** More is needed. */
export const MORE_HELLO = 0;
/** The hello is whole: `bytes` and `hello` have it. */
export const HELLO = 1;
/** It is TLS, and breaks its rules or the limits. */
export const BAD_HELLO = 2;
/** It is not TLS. */
export const NO_TLS = 3;

/** Longest hello that is taken, in bytes with its record headers: browsers send about 2 KB, with room for post-quantum keys. */
export const maxHelloBytes = 32 * 1024;

const recordHeader = 5;
const messageHeader = 4;
const handshakeRecord = 22;
const clientHello = 1;
const maxRecordBytes = 16 * 1024;
const ticketNameBytes = 16;

const empty: Buffer = Buffer.alloc(0);

/**
 * Reads the first message of a TLS client, however it is cut into records and segments. It is pure over bytes, takes time by
 * their number, and holds at most `maxHelloBytes`.
 */
export class HelloReader {
  /** All that was fed, to hand on once the hello is whole; a view of the last chunk if that was the only one. */
  bytes: Buffer = empty;
  /** Undefined until the hello is whole. */
  hello: ClientHello | undefined;
  private kept: Buffer = empty;
  private keptBytes = 0;
  /** Where the next record begins. */
  private next = 0;
  /** The message so far, record headers taken out; whole if it came in one record. */
  private parts: Buffer[] = [];
  private messageBytes = 0;

  /** Takes up what was read. It is copied where it has to be kept: the chunk may be overwritten unless the hello is whole. */
  feed(chunk: Buffer): number {
    if (this.keptBytes > 0) this.keep(chunk);
    const bytes = this.keptBytes > 0 ? this.kept.subarray(0, this.keptBytes) : chunk;
    const result = this.read(bytes);
    if (result === MORE_HELLO) {
      if (bytes.length >= maxHelloBytes) return BAD_HELLO;
      if (this.keptBytes === 0) this.keep(chunk);
    }
    this.bytes = bytes;
    return result;
  }

  private keep(chunk: Buffer): void {
    const length = this.keptBytes + chunk.length;
    if (length > this.kept.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.kept.length * 2, 512));
      this.kept.copy(grown, 0, 0, this.keptBytes);
      this.kept = grown;
    }
    chunk.copy(this.kept, this.keptBytes);
    this.keptBytes = length;
  }

  private read(bytes: Buffer): number {
    while (this.next < bytes.length) {
      const at = this.next;
      if (bytes[at] !== handshakeRecord) return at === 0 ? NO_TLS : BAD_HELLO;
      if (at + 1 < bytes.length && bytes[at + 1] !== 3) return at === 0 ? NO_TLS : BAD_HELLO;
      if (at + recordHeader > bytes.length) return MORE_HELLO;
      const length = bytes.readUInt16BE(at + 3);
      if (length === 0 || length > maxRecordBytes) return BAD_HELLO;
      const start = at + recordHeader;
      if (this.messageBytes === 0 && start < bytes.length && bytes[start] !== clientHello) return BAD_HELLO;
      if (start + length > bytes.length) return MORE_HELLO;
      this.next = start + length;
      const done = this.addPart(bytes.subarray(start, this.next));
      if (done !== MORE_HELLO) return done;
    }
    return MORE_HELLO;
  }

  private addPart(part: Buffer): number {
    // What is kept may be moved to grow.
    const whole = this.messageBytes === 0 ? messageLength(part) : Number.POSITIVE_INFINITY;
    this.messageBytes += part.length;
    if (this.messageBytes >= whole) return this.parse(part.subarray(0, whole));
    this.parts.push(Buffer.from(part));
    // The length may be cut in two, too.
    if (this.messageBytes < messageHeader) return MORE_HELLO;
    const length = messageLength(
      this.parts.length > 1 && this.parts[0].length < messageHeader ? this.joined() : this.parts[0],
    );
    if (length > maxHelloBytes) return BAD_HELLO;
    return this.messageBytes < length ? MORE_HELLO : this.parse(this.joined().subarray(0, length));
  }

  private joined(): Buffer {
    if (this.parts.length > 1) this.parts = [Buffer.concat(this.parts)];
    return this.parts[0];
  }

  private parse(message: Buffer): number {
    this.hello = parseHello(message);
    return this.hello === undefined ? BAD_HELLO : HELLO;
  }
}

function messageLength(message: Buffer): number {
  return message.length < messageHeader ? Number.POSITIVE_INFINITY : messageHeader + message.readUIntBE(1, 3);
}

const serverNameExtension = 0;
const signatureExtension = 13;
const alpnExtension = 16;
const ticketExtension = 35;
const preSharedKeyExtension = 41;

// RFC 8446 §4.2.3: ecdsa_secp256r1_sha256, -384r1_sha384, -521r1_sha512; the curve counts from TLS 1.3 on.
const ecdsaSignatures = [0x0403, 0x0503, 0x0603];
// The ECDHE-ECDSA suites that `tls-context.ts` offers to TLS 1.2.
const ecdsaSuites = [0xc02b, 0xc02c, 0xcca9];

/** Undefined where a length leads past the end, or a part has a form that its RFC forbids. */
function parseHello(message: Buffer): ClientHello | undefined {
  try {
    return new HelloParser(message).parse();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

class HelloParser {
  private readonly bytes: Buffer;
  private at: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    // Past the message's header, the version, and the random bytes.
    this.at = messageHeader + 2 + 32;
  }

  parse(): ClientHello {
    const { bytes } = this;
    let serverName: string | undefined;
    let protocols: string[] = [];
    let signs = false;
    const ticketKeys: string[] = [];
    this.skip(this.number(1));
    const suited = this.anyOf((suite) => suite >> 8 === 0x13 || ecdsaSuites.includes(suite));
    this.skip(this.number(1));
    // Before there were extensions a hello ended here.
    const end = this.at === bytes.length ? this.at : this.block(2);
    if (end !== bytes.length) throw new RangeError('bytes behind the extensions');
    while (this.at < end) {
      const type = this.number(2);
      const next = this.block(2);
      if (type === serverNameExtension) serverName = this.serverName(next);
      else if (type === signatureExtension) signs = this.anyOf((scheme) => ecdsaSignatures.includes(scheme));
      else if (type === alpnExtension) protocols = this.protocols(next);
      else if (type === ticketExtension) this.ticketKey(ticketKeys, next);
      else if (type === preSharedKeyExtension) this.identities(ticketKeys);
      this.at = next;
    }
    return { serverName, protocols, ecdsa: suited && signs, ticketKeys };
  }

  private serverName(end: number): string {
    const listEnd = this.block(2);
    const type = this.number(1);
    const nameEnd = this.block(2);
    // RFC 6066 §3: one name of the one type that there is.
    if (listEnd !== end || type !== 0 || nameEnd !== end || nameEnd === this.at) throw new RangeError('server name');
    return this.bytes.toString('latin1', this.at, nameEnd);
  }

  private protocols(end: number): string[] {
    const found: string[] = [];
    if (this.block(2) !== end) throw new RangeError('protocols');
    while (this.at < end) {
      const next = this.block(1);
      found.push(this.bytes.toString('latin1', this.at, next));
      this.at = next;
    }
    return found;
  }

  private identities(into: string[]): void {
    const end = this.block(2);
    while (this.at < end) {
      const next = this.block(2);
      this.ticketKey(into, next);
      this.at = next + 4;
    }
  }

  /** Reads a list of numbers of two bytes. */
  private anyOf(test: (value: number) => boolean): boolean {
    const end = this.block(2);
    let found = false;
    while (this.at < end) if (test(this.number(2))) found = true;
    return found;
  }

  private ticketKey(into: string[], end: number): void {
    if (end - this.at >= ticketNameBytes) into.push(this.bytes.toString('hex', this.at, this.at + ticketNameBytes));
  }

  private number(bytes: number): number {
    // Throws a RangeError past the end.
    const value = this.bytes.readUIntBE(this.at, bytes);
    this.at += bytes;
    return value;
  }

  /** Reads a length, and returns where what it is the length of ends. */
  private block(lengthBytes: number): number {
    const end = this.number(lengthBytes) + this.at;
    if (end > this.bytes.length) throw new RangeError('length');
    return end;
  }

  private skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.bytes.length) throw new RangeError('length');
  }
}
