import {
  type CompiledCompress,
  type CompressFacts,
  encodedDrops,
  isCompressedType,
  isCompressible,
  pickCoding,
  variesByEncoding,
  weakTag,
} from '../core/option-compress.ts';

/** Bodies of that length are encoded at once, and have a length. */
const wholeBytes = 64 * 1024;
/** So long is a response kept back that may be whole soon. */
const wholeMs = 100;
const mostEncoders = 256;
/** Their readers want each message as it comes, and CompressionStream lets nothing out before it is full. */
const messages = /^application\/(?:x-ndjson|ndjson|jsonl|json-lines|json-seq)\b/i;

/** What of the request decides how its response is encoded. */
export interface Accepting {
  readonly method: string;
  /** Its Accept-Encoding and If-None-Match; '' for none. */
  readonly accepted: string;
  readonly ifNoneMatch: string;
}

/** Whether the runtime has an encoder. */
export function hasEncoder(): boolean {
  return 'CompressionStream' in globalThis;
}

let encoding = 0;

/** How many bodies are being encoded. */
export function countEncoding(): number {
  return encoding;
}

/**
 * A response as its client takes it. By gzip alone: what runtimes have of others by this interface they only have at its slowest.
 * @returns rejects where the body breaks off before anything of it is sent
 */
export async function compressed(
  response: Response,
  options: CompiledCompress,
  { method, accepted, ifNoneMatch }: Accepting,
): Promise<Response> {
  const { headers, status } = response;
  const facts = factsOf(response);
  if (status === 304) {
    validated(headers, options, ifNoneMatch);
    return response;
  }
  if (!isCompressible(options, facts)) return response;
  if (pickCoding(accepted, ['gzip']) === null || encoding >= mostEncoders) return varied(response);
  if (method === 'HEAD') return again(response, null, encodedFields(headers));
  return response.body === null ? response : encoded(response, response.body, options, facts);
}

function factsOf({ headers, status }: Response): CompressFacts {
  const [contentType, contentEncoding, cacheControl, length] = [
    ...['content-type', 'content-encoding', 'cache-control', 'content-length'].map((name) => headers.get(name) ?? ''),
  ];
  return { status, contentType, contentEncoding, cacheControl, contentLength: length === '' ? -1 : Number(length) };
}

/** What has an encoded body has it by a weak tag (RFC 9111 §4.3.4: by a strong one it would not find it). */
function validated(headers: Headers, options: CompiledCompress, ifNoneMatch: string): void {
  const etag = headers.get('etag') ?? '';
  const contentType = headers.get('content-type') ?? '';
  const isWeak = etag.startsWith('"') && ifNoneMatch.includes(`W/${etag}`);
  if (isWeak) headers.set('etag', weakTag(etag));
  if (isWeak || contentType === '' || isCompressedType(options, contentType)) addVary(headers);
}

async function encoded(
  response: Response,
  body: ReadableStream<Uint8Array>,
  { minBytes }: CompiledCompress,
  { contentLength, contentType }: CompressFacts,
): Promise<Response> {
  const { headers } = response;
  if (contentLength < 0 && messages.test(contentType)) return varied(response);
  const reader = body.getReader();
  const begun = contentLength > wholeBytes ? nothing : await gather(reader);
  // Nobody knows whether it ever ends: what waits for more in an encoder would be waited for.
  if (!begun.ended && begun.bytes <= wholeBytes && contentLength < 0)
    return varied(again(response, restOf(begun, reader), headers));
  if (!begun.ended) {
    encoding++;
    const rest = restOf(begun, reader, () => encoding--);
    return again(response, rest.pipeThrough(gzip()), encodedFields(headers));
  }
  const plain = new Blob(begun.parts);
  headers.set('content-length', String(begun.bytes));
  // Such ones nobody gets encoded.
  if (begun.bytes === 0 || begun.bytes < minBytes) return again(response, plain, headers);
  const packed = await packedOf(plain);
  if (packed.byteLength >= begun.bytes) return varied(again(response, plain, headers));
  const fields = encodedFields(headers);
  fields.set('content-length', String(packed.byteLength));
  return again(response, packed, fields);
}

function gzip(): ReadableWritablePair<Uint8Array, Uint8Array> {
  return new CompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array, Uint8Array>;
}

async function packedOf(plain: Blob): Promise<ArrayBuffer> {
  return new Response(plain.stream().pipeThrough(gzip())).arrayBuffer();
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** What has come of a body. */
interface Begun {
  readonly parts: Uint8Array<ArrayBuffer>[];
  readonly bytes: number;
  readonly ended: boolean;
  /** What is being read. */
  readonly next: ReturnType<Reader['read']> | null;
}

const nothing: Begun = { parts: [], bytes: 0, ended: false, next: null };

/** Reads until it is all, too much, or takes too long. */
async function gather(reader: Reader): Promise<Begun> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, wholeMs, null);
  });
  try {
    while (bytes <= wholeBytes) {
      const next = reader.read();
      const got = await Promise.race([next, late]);
      if (got === null) {
        // Who reads on is told of its failure.
        next.catch(() => {});
        return { parts, bytes, ended: false, next };
      }
      if (got.done) return { parts, bytes, ended: true, next: null };
      parts.push(got.value as Uint8Array<ArrayBuffer>);
      bytes += got.value.length;
    }
    return { parts, bytes, ended: false, next: null };
  } finally {
    clearTimeout(timer);
  }
}

/** All of a body of which something has been read. @param onEnd is called once, however it ends */
function restOf({ parts, next }: Begun, reader: Reader, onEnd = () => {}): ReadableStream<Uint8Array> {
  let coming = next;
  let end: (() => void) | null = onEnd;
  const over = () => {
    end?.();
    end = null;
  };
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const first = parts.shift();
    if (first !== undefined) return controller.enqueue(first);
    const reading = coming ?? reader.read();
    coming = null;
    const { done, value } = await reading.catch((error) => {
      over();
      throw error;
    });
    if (!done) return controller.enqueue(value);
    over();
    controller.close();
  };
  const cancel = (reason: unknown) => {
    over();
    return reader.cancel(reason);
  };
  return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
}

function addVary(headers: Headers): void {
  if (!variesByEncoding(headers.get('vary') ?? '')) headers.append('vary', 'Accept-Encoding');
}

/** A response that others get encoded: caches must know that. */
function varied(response: Response): Response {
  addVary(response.headers);
  return response;
}

function encodedFields(from: Headers): Headers {
  const headers = new Headers(from);
  addVary(headers);
  for (const name of encodedDrops) headers.delete(name);
  const etag = headers.get('etag');
  if (etag !== null) headers.set('etag', weakTag(etag));
  headers.set('content-encoding', 'gzip');
  return headers;
}

/** The same response with another body. */
function again({ status, statusText }: Response, body: BodyInit | null, headers: Headers): Response {
  // Workers would encode it once more, going by Content-Encoding.
  const init = { status, statusText, headers, encodeBody: 'manual' };
  return new Response(body, init);
}
