import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';

/** What of a body is looked at before its length has to be known. */
const maxLookBytes = 64 * 1024;

/** Streams that nobody has read from: they go on as Node's own, without the Web's in between. */
const untouched = new WeakMap<ReadableStream, IncomingMessage>();

/** Messages that nobody is to read any more. */
const dropped = new WeakSet<IncomingMessage>();

/** Lets go of a message that is not read to its end: its connection is used again where all of it has come, and else closed. */
export function dropMessage(from: IncomingMessage): void {
  if (from.readableEnded || from.destroyed) return;
  dropped.add(from);
  if (from.complete) from.resume();
  else from.destroy();
}

/** A message's body for a Request or Response; nothing is read before somebody asks. @param onRead called before the first read */
export function webBody(from: IncomingMessage, onRead?: () => void): ReadableStream<Uint8Array> {
  let started = false;
  const stream: ReadableStream<Uint8Array> = new ReadableStream(
    {
      async pull(controller) {
        if (!started) {
          started = true;
          untouched.delete(stream);
          // An error between two reads must not be nobody's.
          from.on('error', () => {});
          onRead?.();
        }
        const chunk = await readChunk(from);
        if (chunk === null) controller.close();
        else controller.enqueue(chunk);
      },
      cancel() {
        untouched.delete(stream);
        from.destroy();
      },
    },
    { highWaterMark: 0 },
  );
  untouched.set(stream, from);
  return stream;
}

/** The message whose body this is, as long as nobody has read from it. */
export function messageBehind(stream: ReadableStream | null): IncomingMessage | undefined {
  return stream === null || stream.locked ? undefined : untouched.get(stream);
}

/** @throws if the message is cut */
async function readChunk(from: IncomingMessage): Promise<Uint8Array | null> {
  for (;;) {
    if (from.errored) throw from.errored;
    if (dropped.has(from))
      throw new TypeError('the response is over: what is to go on after it belongs into waitUntil');
    const chunk: Buffer | null = from.read();
    if (chunk !== null) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    if (from.readableEnded || (from.complete && from.readableLength === 0)) return null;
    if (from.destroyed) throw new TypeError('the message was cut');
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const name of names) from.off(name, done);
        resolve();
      };
      const names = ['readable', 'end', 'error', 'close'];
      for (const name of names) from.on(name, done);
    });
  }
}

/** The beginning of a body, as far as it was there at once. */
export interface Look {
  readonly chunks: Uint8Array[];
  readonly bytes: number;
  /** That was all of it. */
  readonly done: boolean;
  readonly rest: AsyncIterator<Uint8Array>;
}

/** Reads what of a body is there already: of a text all, so that its length is known; of a stream what it has. */
export async function lookAt(stream: ReadableStream<Uint8Array>): Promise<Look> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let pending: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  const rest: AsyncIterator<Uint8Array> = {
    async next() {
      const read = pending ?? reader.read();
      pending = undefined;
      return (await read) as IteratorResult<Uint8Array>;
    },
    async return() {
      await reader.cancel().catch(() => {});
      return { done: true, value: undefined };
    },
  };
  while (chunks.length < 2 || bytes < maxLookBytes) {
    const read = reader.read();
    const first = await Promise.race([read, new Promise<undefined>((resolve) => setImmediate(resolve, undefined))]);
    if (first === undefined) {
      pending = read;
      // Whoever goes on reading hears of it.
      read.catch(() => {});
      break;
    }
    if (first.done) return { chunks, bytes, done: true, rest };
    if (!(first.value instanceof Uint8Array)) throw new TypeError('a body has a chunk that is no Uint8Array');
    chunks.push(first.value);
    bytes += first.value.length;
  }
  return { chunks, bytes, done: false, rest };
}

/** Resolves when a stream takes more, or is gone. */
function room(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      to.off('drain', done);
      to.off('close', done);
      resolve();
    };
    to.on('drain', done);
    to.on('close', done);
  });
}

/**
 * Writes a body, as fast as it is taken, and leaves the end to the caller.
 * @returns how many bytes it had
 * @throws what the body throws; it is cancelled where `to` is gone
 */
export async function writeBody({ chunks, bytes, done, rest }: Look, to: Writable): Promise<number> {
  let written = bytes;
  for (const chunk of chunks) to.write(chunk);
  if (done) return written;
  const gone = () => void rest.return?.();
  to.once('close', gone);
  try {
    for (;;) {
      if (to.destroyed) return written;
      if (to.writableNeedDrain) await room(to);
      const { done: ended, value } = await rest.next();
      if (ended) return written;
      if (!(value instanceof Uint8Array)) throw new TypeError('a body has a chunk that is no Uint8Array');
      written += value.length;
      to.write(value);
    }
  } finally {
    to.off('close', gone);
  }
}
