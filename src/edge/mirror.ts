import { isMirrored, type Mirror } from '../core/option-mirror.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import { BAD_BODY, ChunkedBody } from '../http1/chunked.ts';
import type { Mirrors } from './mirrors.ts';
import { retargetBound, retargetHead } from './retarget.ts';

/** What a copy says of itself, so that one that comes back here is not copied again. */
export const mirrorField = 'X-Oo-Mirror';

const copied = /^x-oo-mirror:/im;
/** A copy is sent when all of its request is here: it is framed anew, and waits for no 100. */
const unsent = /^(?:content-length|transfer-encoding|expect|trailer):[^\n]*\n/gim;
const none: Buffer = Buffer.alloc(0);
const firstBytes = 4 * 1024;
const framing = /^(?:content-length|transfer-encoding):/im;

/** A request that is complete, as a mirror's target gets it. */
export interface MirrorRequest {
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

/**
 * The copy of one request for a mirror: it is put together while the request is forwarded, and sent when that is complete. Nothing waits for it.
 */
export class MirrorCopy {
  private readonly mirrors: Mirrors;
  private readonly mirror: Mirror;
  private readonly route: CompiledRoute;
  private readonly head: string;
  private readonly chunks: ChunkedBody | null;
  /** One buffer that grows: pieces of a byte each would cost far more than they hold. */
  private body: Buffer = none;
  private bytes = 0;
  private dropped = false;

  /**
   * @param head as the upstream gets it, but for the mirror's target
   * @param chunked bytes come with chunk framing
   */
  constructor(mirrors: Mirrors, mirror: Mirror, route: CompiledRoute, head: string, chunked: boolean) {
    this.mirrors = mirrors;
    this.mirror = mirror;
    this.route = route;
    this.head = head;
    this.chunks = chunked ? new ChunkedBody(true) : null;
  }

  /** Body bytes are on their way to the upstream: they are copied. */
  take(buffer: Buffer, from: number, to: number): void {
    if (this.dropped || from === to) return;
    if (this.chunks === null) return this.keep(buffer, from, to);
    const part = Buffer.from(buffer.subarray(from, to));
    if (this.chunks.feed(part, 0, part.length) === BAD_BODY) return this.drop();
    this.keep(part, this.chunks.from, this.chunks.to);
  }

  private keep(buffer: Buffer, from: number, to: number): void {
    const length = this.bytes + to - from;
    const { maxBodyBytes } = this.mirror;
    if (length > maxBodyBytes) return this.drop();
    if (length > this.body.length) {
      const size = Math.min(maxBodyBytes, Math.max(length, this.body.length * 2, firstBytes));
      if (!this.mirrors.hold(size - this.body.length)) return this.drop();
      const grown = Buffer.allocUnsafeSlow(size);
      this.body.copy(grown, 0, 0, this.bytes);
      this.body = grown;
    }
    buffer.copy(this.body, this.bytes, from, to);
    this.bytes = length;
  }

  /** The request is complete. */
  end(): void {
    if (this.dropped) return;
    this.dropped = true;
    const copy = mirrorRequest(this.head, this.body.subarray(0, this.bytes));
    this.mirrors.send(this.mirror.target, this.route, copy, this.body.length);
  }

  /** It is not sent. */
  drop(): void {
    if (this.dropped) return;
    this.dropped = true;
    this.mirrors.release(this.body.length);
    this.body = none;
  }
}

/** A request whose head has been written for its upstream. */
export interface Copied {
  readonly route: CompiledRoute;
  readonly mirror: Mirror;
  /** The head as the upstream gets it. */
  readonly sent: Buffer;
  /** The target that it was written for, and whether its Host is that. */
  readonly target: Target;
  readonly hostIsTarget: boolean;
  /** -1: it does not say. */
  readonly contentLength: number;
  /** Body bytes come with chunk framing. */
  readonly framed: boolean;
}

/** Begins the copy of a request. @returns null where it is not copied: by chance, for its length, for its being a copy, or since there are too many */
export function beginCopy(mirrors: Mirrors, request: Copied): MirrorCopy | null {
  const { route, mirror, sent, target, hostIsTarget, contentLength, framed } = request;
  if (!isMirrored(mirror, Math.random()) || contentLength > mirror.maxBodyBytes || !mirrors.hasRoom()) return null;
  const out = Buffer.allocUnsafe(retargetBound(sent.length, mirror.target));
  const head = out.toString('latin1', 0, retargetHead(out, sent, target, mirror.target, hostIsTarget));
  return copied.test(head) ? null : new MirrorCopy(mirrors, mirror, route, head, framed);
}

function mirrorRequest(head: string, body: Buffer): MirrorRequest {
  const [line, ...lines] = head.replace(unsent, '').trimEnd().split('\r\n');
  const [method, path] = line.split(' ');
  const fields = lines.flatMap((text) => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon), text.slice(colon + 1).trim()];
  });
  if (framing.test(head)) fields.push('Content-Length', String(body.length));
  return { method, path, fields: [...fields, mirrorField, '1'], body };
}
