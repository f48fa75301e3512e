import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { Coding } from '../core/option-compress.ts';
import { type BodyEncoder, createEncoder, type EncoderOwner, encoderFlags } from './compress-encoder.ts';

/** What Node's encoders write with, in the present turn. */
interface Handle {
  writeSync(flag: number, from: Buffer, at: number, bytes: number, to: Buffer, toAt: number, toBytes: number): void;
  reset(): void;
}

/** `_writeState`: what is left of the output's room, and of the input. */
type WithHandle = Transform & { readonly _handle: Handle | null; readonly _writeState: Uint32Array; close(): void };

const empty: Buffer = Buffer.alloc(0);
const outBytes = 64 * 1024;
/** What is encoded lands here, and is copied from here at once. */
const out: Buffer = Buffer.allocUnsafeSlow(outBytes);

/** gzip's are as they were made after a reset. Brotli's and zstd's forget their levels and windows: zstd's defaults are right for small bodies. */
const spares: Readonly<Record<'gzip' | 'zstd', WithHandle[]>> = { gzip: [], zstd: [] };
const mostSpares = { gzip: 16, zstd: 1 };

function take(coding: Coding, whole: boolean): WithHandle {
  const spare = coding === 'gzip' || (coding === 'zstd' && whole) ? spares[coding].pop() : undefined;
  if (spare !== undefined) return spare;
  const made = createEncoder(coding) as unknown as WithHandle;
  made.on('error', () => {});
  return made;
}

function give(coding: Coding, encoder: WithHandle, whole: boolean): void {
  const isSpare = coding === 'gzip' || (coding === 'zstd' && whole);
  if (!isSpare || encoder.destroyed || spares[coding].length >= mostSpares[coding]) return encoder.close();
  encoder._handle?.reset();
  spares[coding].push(encoder);
}

/** @param emit is given copies; false: it wants no more */
function run(encoder: WithHandle, flag: number, bytes: Buffer, emit: (bytes: Buffer) => boolean): void {
  let at = 0;
  for (;;) {
    const handle = encoder._handle;
    if (handle === null) throw new Error('the encoder is gone');
    handle.writeSync(flag, bytes, at, bytes.length - at, out, 0, outBytes);
    if (encoder.destroyed) throw encoder.errored ?? new Error('the encoder failed');
    const [room, left] = encoder._writeState;
    at = bytes.length - left;
    if (room < outBytes && !emit(Buffer.from(out.subarray(0, outBytes - room)))) return;
    if (room > 0) return;
  }
}

/** @throws where there is no memory for it */
export function encodeByHandle(coding: Coding, body: Buffer): Buffer {
  const encoder = take(coding, true);
  const parts: Buffer[] = [];
  try {
    run(encoder, encoderFlags[coding].finish, body, (bytes) => parts.push(bytes) > 0);
  } finally {
    give(coding, encoder, true);
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
}

/**
 * Encodes a body piece by piece, each in the turn that it comes in, by the private interface that Node's own encoders use. It saves the thread
 * pool's and the streams' work, and encoders are used again: together that is half of what it costs to encode a page.
 */
export class HandleEncoder implements BodyEncoder {
  readonly isPrompt = true;
  dirty = false;
  private readonly coding: Coding;
  private readonly owner: EncoderOwner;
  private encoder: WithHandle | null;
  private running = false;
  private paused = false;
  private ended = false;

  /** @throws where there is no memory for it */
  constructor(coding: Coding, owner: EncoderOwner) {
    this.coding = coding;
    this.owner = owner;
    this.encoder = take(coding, false);
  }

  get busy(): boolean {
    return this.running || this.paused || this.ended;
  }

  write(piece: Buffer): void {
    this.dirty = true;
    this.run(encoderFlags[this.coding].none, piece);
  }

  flush(): void {
    this.dirty = false;
    this.run(encoderFlags[this.coding].flush, empty);
  }

  end(piece: Buffer | undefined): void {
    this.ended = true;
    this.run(encoderFlags[this.coding].finish, piece ?? empty);
  }

  private run(flag: number, bytes: Buffer): void {
    const { encoder, owner } = this;
    if (encoder === null) return;
    this.running = true;
    try {
      run(encoder, flag, bytes, (encoded) => {
        owner.onEncoded(encoded);
        return this.encoder !== null;
      });
    } catch (error) {
      owner.onEncoderFailed(error as Error);
    }
    this.running = false;
    // Its owner may have left in the meantime: it was not to be given back while it was at work.
    if (this.encoder === null) return give(this.coding, encoder, false);
    this.goOn();
  }

  private goOn(): void {
    if (this.paused || this.encoder === null) return;
    if (this.ended) this.owner.onEncodedEnd();
    else this.owner.onEncoderIdle();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (!this.running) this.goOn();
  }

  destroy(): void {
    const { encoder } = this;
    this.encoder = null;
    if (encoder !== null && !this.running) give(this.coding, encoder, false);
  }
}

let works: boolean | undefined;

/** Whether this Node has that interface, and it does what it has to: what is encoded by it is decoded by the public one. */
export function hasHandles(): boolean {
  works ??= (['gzip', 'br', 'zstd'] as const).every(isGood);
  return works;
}

const decoders = {
  gzip: zlib.gunzipSync,
  br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
} satisfies Record<Coding, (bytes: Buffer) => Buffer>;

function isGood(coding: Coding): boolean {
  try {
    const sample = Buffer.alloc(100_000, 'what is encoded, is decoded. ');
    for (let i = 0; i < 2; i++) if (!decoders[coding](encodeByHandle(coding, sample)).equals(sample)) return false;
    return true;
  } catch {
    return false;
  }
}
