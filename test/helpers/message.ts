/** An HTTP/1 message as a test sees it: taken apart by a reader that shares no code with src/http1. */
export interface Message {
  /** Start line. */
  readonly line: string;
  /** Start line and fields as they came, without the empty line, latin1. */
  readonly head: string;
  /** In the order they came; names as sent. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Without chunk framing. */
  readonly body: Buffer;
  readonly text: string;
  readonly trailers: readonly string[];
  readonly chunked: boolean;
  /** Status of a response; NaN for a request. */
  readonly status: number;
  /** Every value of a field, in any case of its name, joined with ', '; undefined if it is absent. */
  get(name: string): string | undefined;
}

interface Body {
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly end: number;
}

/**
 * Reads one message from the start of `bytes`.
 * @param bodiless whether it has no body, whatever its fields say: the answer to HEAD
 * @param ended whether no more bytes come: ends the body of a response that names no length
 * @returns the message and where it ends, or undefined if it is not complete
 * @throws Error if its chunks are malformed
 */
export function readMessage(
  bytes: Buffer,
  bodiless = false,
  ended = false,
): { message: Message; end: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const [line, ...lines] = head.split('\r\n');
  const fields = lines.map((text) => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon), text.slice(colon + 1).trim()] as const;
  });
  const get = (name: string) => {
    const values = fields.filter(([known]) => known.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
    return values.length > 0 ? values.join(', ') : undefined;
  };
  const status = line.startsWith('HTTP/') ? Number(line.split(' ')[1]) : Number.NaN;
  const none = bodiless || status < 200 || status === 204 || status === 304;
  const chunked = !none && /chunked/i.test(get('transfer-encoding') ?? '');
  const start = headEnd + 4;
  const body = none ? noBody(start) : chunked ? readChunks(bytes, start) : readPlain(bytes, start, get, status, ended);
  if (body === undefined) return undefined;
  const message = { line, head, fields, ...body, text: body.body.toString('latin1'), chunked, status, get };
  return { message, end: body.end };
}

function noBody(end: number): Body {
  return { body: Buffer.alloc(0), trailers: [], end };
}

function readPlain(
  bytes: Buffer,
  start: number,
  get: Message['get'],
  status: number,
  ended: boolean,
): Body | undefined {
  const length = get('content-length');
  if (length === undefined && Number.isNaN(status)) return noBody(start);
  const end = length === undefined ? bytes.length : start + Number(length);
  if (end > bytes.length || (length === undefined && !ended)) return undefined;
  return { body: bytes.subarray(start, end), trailers: [], end };
}

function readChunks(bytes: Buffer, start: number): Body | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = bytes.toString('latin1', at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(size)) throw new Error(`chunk size ${JSON.stringify(size.slice(0, 100))}`);
    const length = Number.parseInt(size, 16);
    const from = lineEnd + 2;
    if (length === 0) return readTrailers(bytes, from, Buffer.concat(parts));
    if (bytes.length < from + length + 2) return undefined;
    parts.push(bytes.subarray(from, from + length));
    at = from + length + 2;
    if (bytes.toString('latin1', at - 2, at) !== '\r\n') throw new Error('no CRLF behind a chunk');
  }
}

function readTrailers(bytes: Buffer, start: number, body: Buffer): Body | undefined {
  const trailers: string[] = [];
  for (let at = start; ; ) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    if (end === at) return { body, trailers, end: end + 2 };
    trailers.push(bytes.toString('latin1', at, end));
    at = end + 2;
  }
}
