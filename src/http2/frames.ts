import { ascii, copy, writeUint32 } from './bytes.ts';

/** What a client sends first of all (RFC 9113 §3.4). */
export const PREFACE = ascii('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Length, type, flags, stream: RFC 9113 §4.1. */
export const FRAME_HEADER_BYTES = 9;
/** RFC 9113 §4.2: what everybody takes, and what oo never asks for more than. */
export const MAX_FRAME_BYTES = 16_384;
/** The largest window (RFC 9113 §6.9.1), and the largest stream id. */
export const MAX_31 = 0x7fff_ffff;
/** RFC 9113 §6.9.2: what windows are before anybody says otherwise. */
export const DEFAULT_WINDOW = 65_535;

// Frame types, RFC 9113 §6.
export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

// Flags.
export const ACK = 1;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY_FLAG = 32;

// Error codes, RFC 9113 §7.
export const NO_ERROR = 0;
export const PROTOCOL_ERROR = 1;
export const INTERNAL_ERROR = 2;
export const FLOW_CONTROL_ERROR = 3;
export const SETTINGS_TIMEOUT = 4;
export const STREAM_CLOSED = 5;
export const FRAME_SIZE_ERROR = 6;
export const REFUSED_STREAM = 7;
export const CANCEL = 8;
export const COMPRESSION_ERROR = 9;
export const CONNECT_ERROR = 10;
export const ENHANCE_YOUR_CALM = 11;
export const INADEQUATE_SECURITY = 12;
export const HTTP_1_1_REQUIRED = 13;

/** Their names, by code: for logs. */
export const ERROR_NAMES: readonly string[] = [
  ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED'],
  ...['FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM'],
  ...['INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
];

/** Writes a frame's header. @returns the index after it, where the payload goes */
export function writeHeader(
  out: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  id: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = id >>> 24;
  out[at + 6] = id >>> 16;
  out[at + 7] = id >>> 8;
  out[at + 8] = id;
  return at + FRAME_HEADER_BYTES;
}

/** Writes a frame whose payload is one number of 32 bits: WINDOW_UPDATE or RST_STREAM, 13 bytes. */
export function writeNumber(out: Uint8Array, at: number, type: number, id: number, value: number): number {
  return writeUint32(out, writeHeader(out, at, 4, type, 0, id), value);
}

/** Writes the answer to the PING whose 8 bytes stand at `from`: 17 bytes. */
export function writePingAck(out: Uint8Array, at: number, buf: Uint8Array, from: number): number {
  return copy(out, writeHeader(out, at, 8, PING, ACK, 0), buf, from, from + 8);
}

/** Writes a GOAWAY, with a reason for whoever reads traces: 17 bytes and the reason. */
export function writeGoaway(out: Uint8Array, at: number, lastId: number, code: number, reason: Uint8Array): number {
  at = writeHeader(out, at, 8 + reason.length, GOAWAY, 0, 0);
  at = writeUint32(out, at, lastId);
  at = writeUint32(out, at, code);
  return copy(out, at, reason, 0, reason.length);
}
