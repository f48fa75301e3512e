import type { Context } from 'hono';

/** Something may be slow, and who waits gives up on silence: an empty line this often, ms. */
const heartbeatMs = 15_000;

/**
 * Answers with what happens, as it happens: a line of JSON for each thing, with empty ones between that only say that this lives.
 * @param begin tells of each thing by `line`; resolves when it has begun, with a promise of its end. What it throws before comes before the first
 *   byte, so it can have a status of its own. Its signal ends when the caller has left
 * @param outcomeOf the last line, of what `done` has come to
 * @param errorOf the last line where it failed
 */
export async function follow<T>(
  c: Context,
  begin: (line: (value: object) => void, signal: AbortSignal) => Promise<{ readonly done: Promise<T> }>,
  outcomeOf: (value: T) => object,
  errorOf: (error: Error) => object,
): Promise<Response> {
  const encoder = new TextEncoder();
  const left = new AbortController();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
    cancel: () => {
      controller = undefined;
      left.abort();
    },
  });
  const write = (text: string) => controller?.enqueue(encoder.encode(`${text}\n`));
  const line = (value: object) => write(JSON.stringify(value));
  const { done } = await begin(line, left.signal);
  const heartbeat = setInterval(() => write(''), heartbeatMs);
  left.signal.addEventListener('abort', () => clearInterval(heartbeat));
  if (left.signal.aborted) clearInterval(heartbeat);
  done
    .then(
      (value) => line(outcomeOf(value)),
      (error: Error) => line(errorOf(error)),
    )
    .finally(() => {
      clearInterval(heartbeat);
      controller?.close();
    });
  return c.body(body, 200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
}
