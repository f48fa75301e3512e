import { isMirrored, type Mirror } from '../core/option-mirror.ts';
import type { Body, Reader, Send } from './fetch.ts';

/** What a copy says of itself, so that one that comes back here is not copied again. */
const mirrorField = 'x-oo-mirror';
/** As at the edge. */
const mostCopies = 128;
const mostBytes = 64 * 1024 * 1024;
const timeoutMs = 30_000;
const firstBytes = 4 * 1024;

/** A request that may be copied. */
export interface Copied {
  readonly mirror: Mirror;
  readonly method: string;
  /** Path and query as the upstream gets them, without its own path. */
  readonly path: string;
  /** What the upstream gets, Host aside. */
  readonly sent: Headers;
  readonly host: string;
  /** Keeps the runtime at it until the copy's end; may throw where there is no such thing. */
  readonly waitUntil: (copy: Promise<void>) => void;
}

/** Sends copies of requests, and throws away what is answered. Whatever becomes of them, no request hears of it. */
export class ProxyMirrors {
  /** Copies under way. */
  running = 0;
  /** Bytes of bodies that are kept for copies. */
  held = 0;
  /** So long may a body say nothing, and still be copied. */
  readonly quietMs: number;
  private readonly sender: Send;

  constructor(send: Send, quietMs = timeoutMs) {
    this.sender = send;
    this.quietMs = quietMs;
  }

  /** @param random from 0 up to, not including, 1 @returns null where it is not copied: by chance, for its length, for its being a copy, or since there are too many */
  begin(copied: Copied, random: number): MirrorCopy | null {
    const { mirror, sent } = copied;
    const length = Number(sent.get('content-length') ?? 0);
    if (!isMirrored(mirror, random) || length > mirror.maxBodyBytes || this.running >= mostCopies) return null;
    return sent.has(mirrorField) ? null : new MirrorCopy(this, copied);
  }

  /** Asks to hold so many bytes more. */
  hold(bytes: number): boolean {
    if (this.held + bytes > mostBytes) return false;
    this.held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.held -= bytes;
  }

  /** Never rejects. @param body null for none */
  async send(copied: Copied, body: Uint8Array<ArrayBuffer> | null): Promise<void> {
    if (this.running >= mostCopies) return;
    const { mirror, method, path, sent, host } = copied;
    const { tls, authority, basePath } = mirror.target;
    this.running++;
    try {
      const headers = new Headers(sent);
      for (const name of ['content-length', 'trailer']) headers.delete(name);
      headers.set('host', host);
      headers.set(mirrorField, '1');
      const signal = AbortSignal.timeout(timeoutMs);
      if (body !== null) headers.set('content-length', String(body.length));
      const init = { method, fields: [...headers], body: body === null ? null : new Response(body).body, signal };
      const response = await this.sender(`${tls ? 'https' : 'http'}://${authority}${basePath}${path}`, init);
      const reader = response.body?.getReader();
      while (reader !== undefined && !(await reader.read()).done);
    } catch {
      // They are nobody's.
    } finally {
      this.running--;
    }
  }
}

/** The copy of one request: it is put together while the request is forwarded, and sent when that is complete. Nothing waits for it. */
export class MirrorCopy {
  private readonly mirrors: ProxyMirrors;
  private readonly copied: Copied;
  /** One buffer that grows: pieces of a byte each would cost far more than they hold. */
  private body = new Uint8Array(0);
  private bytes = 0;
  private over = false;
  /** Something has come since the last look. */
  private awake = true;
  private watch: ReturnType<typeof setTimeout> | undefined;

  constructor(mirrors: ProxyMirrors, copied: Copied) {
    this.mirrors = mirrors;
    this.copied = copied;
  }

  /** The request's body, copied as it is read. Nothing of it is read before: until then it can be sent by another attempt. */
  through(from: Body): Body {
    let reader: Reader | undefined;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
      reader ??= from.getReader();
      const { done, value } = await reader.read().catch((error) => {
        this.drop();
        throw error;
      });
      if (done) {
        this.end();
        return controller.close();
      }
      this.take(value);
      controller.enqueue(value);
    };
    const cancel = (reason: unknown) => {
      if (reader === undefined) return;
      this.drop();
      return reader.cancel(reason);
    };
    return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
  }

  private take(piece: Uint8Array): void {
    if (this.over || piece.length === 0) return;
    const length = this.bytes + piece.length;
    const { maxBodyBytes } = this.copied.mirror;
    if (length > maxBodyBytes) return this.drop();
    if (length > this.body.length) {
      const size = Math.min(maxBodyBytes, Math.max(length, this.body.length * 2, firstBytes));
      if (!this.mirrors.hold(size - this.body.length)) return this.drop();
      const grown = new Uint8Array(size);
      grown.set(this.body.subarray(0, this.bytes));
      this.body = grown;
    }
    this.body.set(piece, this.bytes);
    this.bytes = length;
    this.awake = true;
    if (this.watch === undefined) this.look();
  }

  /** Node's fetch forgets a body, and tells nobody, whose answer has come before its end: what is held of it must not be held for ever. */
  private look(): void {
    if (!this.awake) return this.drop();
    this.awake = false;
    this.watch = setTimeout(() => this.look(), this.mirrors.quietMs);
    (this.watch as { unref?: () => void }).unref?.();
  }

  /** The request is complete. @param bodied whether it has a body, which may be empty */
  end(bodied = true): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.watch);
    const { mirrors, copied, body, bytes } = this;
    const sending = mirrors.send(copied, bodied ? body.subarray(0, bytes) : null).finally(() => {
      mirrors.release(body.length);
    });
    try {
      copied.waitUntil(sending);
    } catch {
      // Elsewhere than on Workers nobody has to be told.
    }
  }

  /** It is not sent. */
  drop(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.watch);
    this.mirrors.release(this.body.length);
    this.body = new Uint8Array(0);
  }
}
