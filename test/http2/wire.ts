import * as frames from '../../src/http2/frames.ts';

/** A header field as a test writes it. */
export type Field = readonly [name: string, value: string];

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
/** Bytes from hexadecimal digits; white space does not count. */
export const hex = (digits: string): Buffer => Buffer.from(digits.replace(/\s+/g, ''), 'hex');

/** A frame, whatever is in it. */
export function frame(type: number, flags: number, id: number, payload: Uint8Array | string = ''): Buffer {
  const body = typeof payload === 'string' ? bytes(payload) : payload;
  const out = Buffer.alloc(9 + body.length);
  frames.writeHeader(out, 0, body.length, type, flags, id);
  out.set(body, 9);
  return out;
}

export function uint32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

/** An HPACK integer (RFC 7541 §5.1) whose first byte has `mark` beside its prefix. */
export function integer(value: number, prefix: number, mark = 0): Buffer {
  const most = (1 << prefix) - 1;
  if (value < most) return Buffer.of(mark | value);
  const out = [mark | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
  return Buffer.from(out);
}

export function string(text: string): Buffer {
  return Buffer.concat([integer(Buffer.byteLength(text, 'latin1'), 7), bytes(text)]);
}

/** Fields as literals without indexing, or with. */
export function block(fields: readonly Field[], indexed = false): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(indexed ? 0x40 : 0), string(name), string(value)]));
}

const END = frames.END_STREAM;
/** HEADERS in one frame. */
export const headers = (id: number, fields: readonly Field[], ended = true): Buffer =>
  frame(frames.HEADERS, frames.END_HEADERS | (ended ? END : 0), id, block(fields));
export const data = (id: number, payload: Uint8Array | string, ended = false): Buffer =>
  frame(frames.DATA, ended ? END : 0, id, payload);
export const reset = (id: number, code: number): Buffer => frame(frames.RST_STREAM, 0, id, uint32(code));
export const update = (id: number, more: number): Buffer => frame(frames.WINDOW_UPDATE, 0, id, uint32(more));
export const ping = (payload = '12345678', ack = false): Buffer => frame(frames.PING, ack ? 1 : 0, 0, payload);
export const settings = (...list: (readonly [id: number, value: number])[]): Buffer =>
  frame(
    frames.SETTINGS,
    0,
    0,
    Buffer.concat(list.map(([id, value]) => Buffer.concat([Buffer.of(id >> 8, id & 255), uint32(value)]))),
  );
export const settingsAck: Buffer = frame(frames.SETTINGS, frames.ACK, 0);
export const goaway = (lastId: number, code: number): Buffer =>
  frame(frames.GOAWAY, 0, 0, Buffer.concat([uint32(lastId), uint32(code)]));
export const preface: Buffer = Buffer.from(frames.PREFACE);

/** A GET, as fields. */
export const get = (path = '/', ...more: Field[]): Field[] => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'a.test'],
  [':path', path],
  ...more,
];
export const post = (path = '/', ...more: Field[]): Field[] => [[':method', 'POST'], ...get(path, ...more).slice(1)];
export const ok: Field[] = [[':status', '200']];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** The frames in some bytes; a part of a frame at the end is an error. */
export function framesOf(wire: Uint8Array): Frame[] {
  const buf = Buffer.from(wire);
  const found: Frame[] = [];
  for (let p = 0; p < buf.length; ) {
    const length = buf.readUIntBE(p, 3);
    if (p + 9 + length > buf.length) throw new Error(`a frame of ${length} bytes is cut off`);
    const payload = buf.subarray(p + 9, p + 9 + length);
    found.push({ type: buf[p + 3], flags: buf[p + 4], id: buf.readUInt32BE(p + 5), payload });
    p += 9 + length;
  }
  return found;
}

const NAMES = ['DATA', 'HEADERS', 'PRIORITY', 'RST', 'SETTINGS', 'PUSH', 'PING', 'GOAWAY', 'UPDATE', 'CONTINUATION'];

/** Frames in words: `RST 1 8`, `GOAWAY last=1 code=1`, `DATA 1 5 END`, `UPDATE 0 100`, `SETTINGS ACK`, `HEADERS 1 END`. */
export function describe(wire: Uint8Array): string[] {
  return framesOf(wire).map(({ type, flags, id, payload }) => {
    const name = NAMES[type] ?? `TYPE ${type}`;
    const end = (flags & END) !== 0 ? ' END' : '';
    switch (type) {
      case frames.DATA:
        return `DATA ${id} ${payload.length}${end}`;
      case frames.HEADERS:
        return `HEADERS ${id}${end}${(flags & frames.END_HEADERS) === 0 ? ' …' : ''}`;
      case frames.RST_STREAM:
      case frames.WINDOW_UPDATE:
        return `${name} ${id} ${payload.readUInt32BE(0)}`;
      case frames.GOAWAY:
        return `GOAWAY last=${payload.readUInt32BE(0)} code=${payload.readUInt32BE(4)}`;
      case frames.SETTINGS:
      case frames.PING:
        return name + ((flags & frames.ACK) !== 0 ? ' ACK' : '');
      default:
        return `${name} ${id}`;
    }
  });
}
