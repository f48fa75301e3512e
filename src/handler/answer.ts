import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { failureBody, failures } from '../core/failure.ts';
import { lookAt, messageBehind, writeBody } from './body.ts';
import { rawFields, withoutTrailer } from './fields.ts';
import { pairs } from './next.ts';

const codings = '(?:x-gzip|gzip|deflate|br|zstd)';
const decoded = new RegExp(`^${codings}(?:[ \\t]*,[ \\t]*${codings})*$`, 'i');

/**
 * Sends what a handler has answered. Resolves when all of it is handed over.
 * @param ours the name of our own field
 * @throws what the body throws; nothing of the response is out then where `headersSent` is false
 */
export async function sendAnswer(to: ServerResponse, response: Response, method: string, ours: string): Promise<void> {
  const { status, body } = response;
  let { headers } = response;
  let raw = rawFields(headers, ours);
  const length = headers.get('content-length');
  to.sendDate = false;
  const begin = (...framing: string[]) => {
    const isChunked = method !== 'HEAD' && status !== 204 && status !== 304 && framing.length === 0;
    to.writeHead(status, response.statusText, [...(isChunked ? raw : withoutTrailer(raw)), ...framing] as never);
  };
  if (method === 'HEAD' || body === null || status === 304) {
    begin(...lengthWithoutBody(method, status, length));
    to.end();
    // Nobody will read it.
    await body?.cancel().catch(() => {});
    return;
  }
  const behind = messageBehind(body);
  if (behind !== undefined) {
    // As long as it is: what the handler has made of the field is another length than it has.
    const whole = behind.headers['content-length'];
    begin(...(whole === undefined ? [] : ['content-length', whole]));
    return sendAsItComes(behind, to);
  }
  // Node's fetch takes codings off the body, and leaves the fields as they were.
  if (response.url !== '' && decoded.test(headers.get('content-encoding') ?? '')) {
    headers = new Headers(headers);
    headers.delete('content-encoding');
    raw = rawFields(headers, ours);
  }
  const look = await lookAt(body);
  begin(...(look.done ? ['content-length', String(look.bytes)] : []));
  if (!look.done) to.flushHeaders();
  await writeBody(look, to);
  to.end();
}

function lengthWithoutBody(method: string, status: number, length: string | null): string[] {
  if (method === 'HEAD' || status === 304) return length === null ? [] : ['content-length', length];
  return status === 204 ? [] : ['content-length', '0'];
}

/** An upstream's body as it is; one that is cut is cut. */
function sendAsItComes(from: IncomingMessage, to: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const cut = () => {
      if (!from.complete) to.destroy();
      resolve();
    };
    from.once('error', cut);
    from.once('close', cut);
    from.once('end', () => {
      if (from.rawTrailers.length > 0) to.addTrailers(pairs(from.rawTrailers));
      to.end();
      resolve();
    });
    to.once('close', () => from.destroy());
    from.pipe(to, { end: false });
    to.flushHeaders();
  });
}

/** Answers in the handler's place, as oo does. */
export function sendFailure(
  to: ServerResponse,
  code: 'OO_HANDLER_FAILED' | 'OO_HANDLER_TIMEOUT',
  accept: string,
  requestId: string,
): void {
  const { contentType, body } = failureBody(code, { accept, requestId });
  to.sendDate = false;
  to.writeHead(failures[code].status, STATUS_CODES[failures[code].status], [
    ...['Content-Type', contentType, 'Cache-Control', 'no-store', 'X-Request-Id', requestId, 'X-Oo-Code', code],
    ...['Content-Length', String(Buffer.byteLength(body))],
  ] as never);
  to.end(to.req.method === 'HEAD' ? undefined : body);
}
