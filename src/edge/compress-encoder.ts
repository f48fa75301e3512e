import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { Coding } from '../core/option-compress.ts';

const {
  BROTLI_OPERATION_FINISH,
  BROTLI_OPERATION_FLUSH,
  BROTLI_OPERATION_PROCESS,
  BROTLI_PARAM_LGWIN,
  BROTLI_PARAM_QUALITY,
  BROTLI_PARAM_SIZE_HINT,
  ZSTD_c_chainLog,
  ZSTD_c_compressionLevel,
  ZSTD_c_hashLog,
  ZSTD_c_windowLog,
  ZSTD_e_continue,
  ZSTD_e_end,
  ZSTD_e_flush,
  Z_FINISH,
  Z_NO_FLUSH,
  Z_SYNC_FLUSH,
} = zlib.constants;

/** Node 22.15 was the first to have zstd. */
const hasZstd = typeof zlib.createZstdCompress === 'function';

/** Those of them that this Node knows. */
export function knownCodings(codings: readonly Coding[]): readonly Coding[] {
  return hasZstd ? codings : codings.filter((coding) => coding !== 'zstd');
}

/** Quick levels, and windows with which an encoder holds about 1 MiB at most (gzip 0.4): of pages, more would save next to nothing. */
const gzipOptions: zlib.ZlibOptions = { level: 5 };
const brotliParams = { [BROTLI_PARAM_QUALITY]: 4, [BROTLI_PARAM_LGWIN]: 18 };
const zstdOptions: zlib.ZstdOptions = {
  params: { [ZSTD_c_compressionLevel]: 3, [ZSTD_c_windowLog]: 18, [ZSTD_c_hashLog]: 16, [ZSTD_c_chainLog]: 16 },
};

/** Encodes a whole body at once: for small ones, of which a stream of its own would cost more than the encoding. */
export function encodeWhole(coding: Coding, body: Buffer): Buffer {
  if (coding === 'gzip') return zlib.gzipSync(body, gzipOptions);
  if (coding === 'zstd') return zlib.zstdCompressSync(body, zstdOptions);
  return zlib.brotliCompressSync(body, { params: { ...brotliParams, [BROTLI_PARAM_SIZE_HINT]: body.length } });
}

type Flushing = Transform & { flush(kind: number, done: () => void): void };

export function createEncoder(coding: Coding): Flushing {
  if (coding === 'gzip') return zlib.createGzip(gzipOptions);
  if (coding === 'zstd') return zlib.createZstdCompress(zstdOptions);
  return zlib.createBrotliCompress({ params: brotliParams });
}

/** What an encoder is told with what it is given: to take it, to let all out that it holds, that nothing follows. */
export const encoderFlags: Readonly<Record<Coding, { none: number; flush: number; finish: number }>> = {
  gzip: { none: Z_NO_FLUSH, flush: Z_SYNC_FLUSH, finish: Z_FINISH },
  br: { none: BROTLI_OPERATION_PROCESS, flush: BROTLI_OPERATION_FLUSH, finish: BROTLI_OPERATION_FINISH },
  zstd: { none: ZSTD_e_continue, flush: ZSTD_e_flush, finish: ZSTD_e_end },
};

/** Whose body is encoded. */
export interface EncoderOwner {
  onEncoded(bytes: Buffer): void;
  /** It has taken what it was given, or let all out that it held. */
  onEncoderIdle(): void;
  onEncodedEnd(): void;
  onEncoderFailed(error: Error): void;
}

/** Encodes a body piece by piece. One piece is under way at a time. */
export interface BodyEncoder {
  /** It can take nothing now; its owner is told when it can. */
  readonly busy: boolean;
  /** It may hold bytes that a flush would let out. */
  readonly dirty: boolean;
  /** What it is given has been taken when `write` returns. */
  readonly isPrompt: boolean;
  /** @param piece nobody overwrites it, unless `isPrompt` */
  write(piece: Buffer): void;
  /** Lets out what it holds. */
  flush(): void;
  /** Nothing follows but this; `onEncodedEnd` comes when all is out. */
  end(piece: Buffer | undefined): void;
  /** Nothing more is taken until `resume`, and little more let out. */
  pause(): void;
  resume(): void;
  /** Frees it at once; its owner hears nothing more. */
  destroy(): void;
}

/** By Node's streams, in its thread pool. */
export class StreamEncoder implements BodyEncoder {
  readonly isPrompt = false;
  busy = false;
  dirty = false;
  private readonly stream: Flushing;
  private readonly flushKind: number;
  private readonly onDone: () => void;

  /** @throws where there is no memory for it */
  constructor(coding: Coding, owner: EncoderOwner) {
    this.stream = createEncoder(coding);
    this.flushKind = encoderFlags[coding].flush;
    this.onDone = () => {
      this.busy = false;
      if (!this.stream.destroyed) owner.onEncoderIdle();
    };
    this.stream.on('data', (bytes: Buffer) => owner.onEncoded(bytes));
    this.stream.on('end', () => owner.onEncodedEnd());
    this.stream.on('error', (error) => owner.onEncoderFailed(error));
  }

  write(piece: Buffer): void {
    this.busy = true;
    this.dirty = true;
    this.stream.write(piece, this.onDone);
  }

  flush(): void {
    this.busy = true;
    this.dirty = false;
    this.stream.flush(this.flushKind, this.onDone);
  }

  end(piece: Buffer | undefined): void {
    this.busy = true;
    if (piece === undefined) this.stream.end();
    else this.stream.end(piece);
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  destroy(): void {
    this.stream.removeAllListeners('data');
    this.stream.removeAllListeners('end');
    this.stream.destroy();
  }
}
