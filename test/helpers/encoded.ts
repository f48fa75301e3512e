import zlib from 'node:zlib';

/** Decodes a body by Node's own decoders. @param coding '' or undefined for none */
export function decoded(body: Buffer, coding: string | undefined): Buffer {
  if (coding === undefined || coding === '') return body;
  if (coding === 'gzip') return zlib.gunzipSync(body);
  if (coding === 'br') return zlib.brotliDecompressSync(body);
  if (coding === 'zstd') return zlib.zstdDecompressSync(body);
  throw new Error(`unknown coding ${coding}`);
}

/** What can be had of a body that is not whole. */
export function decodedPart(body: Buffer, coding: string): Buffer {
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH, ZSTD_e_flush } = zlib.constants;
  if (coding === 'gzip') return zlib.gunzipSync(body, { finishFlush: Z_SYNC_FLUSH });
  if (coding === 'br') return zlib.brotliDecompressSync(body, { finishFlush: BROTLI_OPERATION_FLUSH });
  return zlib.zstdDecompressSync(body, { finishFlush: ZSTD_e_flush });
}

/** Text that can be encoded well, and is nowhere the same. */
export function textOf(bytes: number, seed = 1): Buffer {
  const parts: string[] = [];
  let length = 0;
  let state = seed;
  while (length < bytes) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const part = `{"id":${state},"name":"item ${state % 977}","tags":["a${state % 7}","b${state % 11}"]}\n`;
    parts.push(part);
    length += part.length;
  }
  return Buffer.from(parts.join('')).subarray(0, bytes);
}
