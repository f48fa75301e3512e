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
  private readonly parts: Buffer[] = [];
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
    let part: Buffer = Buffer.from(buffer.subarray(from, to));
    if (this.chunks !== null) {
      if (this.chunks.feed(part, 0, part.length) === BAD_BODY) return this.drop();
      part = part.subarray(this.chunks.from, this.chunks.to);
    }
    if (this.bytes + part.length > this.mirror.maxBodyBytes || !this.mirrors.hold(part.length)) return this.drop();
    this.bytes += part.length;
    this.parts.push(part);
  }

  /** The request is complete. */
  end(): void {
    if (this.dropped) return;
    this.dropped = true;
    this.mirrors.send(this.mirror.target, this.route, mirrorRequest(this.head, Buffer.concat(this.parts)), this.bytes);
  }

  /** It is not sent. */
  drop(): void {
    if (this.dropped) return;
    this.dropped = true;
    this.parts.length = 0;
    this.mirrors.release(this.bytes);
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
