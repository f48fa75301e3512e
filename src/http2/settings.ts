import { readUint32, writeUint32 } from './bytes.ts';
import { MAX_TABLE_BYTES } from './dynamic-table.ts';
import {
  DEFAULT_WINDOW,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  MAX_31,
  MAX_FRAME_BYTES,
  NO_ERROR,
  PROTOCOL_ERROR,
  SETTINGS,
  writeHeader,
} from './frames.ts';

// RFC 9113 §6.5.2; RFC 8441 §3; RFC 9218 §2.1.
export const HEADER_TABLE_SIZE = 1;
export const ENABLE_PUSH = 2;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
export const MAX_FRAME_SIZE = 5;
export const MAX_HEADER_LIST_SIZE = 6;
export const ENABLE_CONNECT_PROTOCOL = 8;
export const NO_RFC7540_PRIORITIES = 9;

/** Bytes of one setting. */
export const SETTING_BYTES = 6;

/** A setting and its value. */
export type Setting = readonly [id: number, value: number];

/** What the peer has said of itself; at first, what RFC 9113 §6.5.2 assumes. */
export class PeerSettings {
  headerTableSize: number = MAX_TABLE_BYTES;
  maxConcurrentStreams = MAX_31;
  initialWindow: number = DEFAULT_WINDOW;
  maxFrameBytes: number = MAX_FRAME_BYTES;
  maxListBytes: number = MAX_31;
  /** Extended CONNECT may be sent to it. */
  connectProtocol = false;

  /**
   * Takes one setting.
   * @param fromServer who may not say everything (RFC 9113 §6.5.2)
   * @returns the error code that it deserves, or NO_ERROR; unknown ones are ignored
   */
  set(id: number, value: number, fromServer: boolean): number {
    switch (id) {
      case HEADER_TABLE_SIZE:
        this.headerTableSize = value;
        return NO_ERROR;
      case ENABLE_PUSH:
        return value > 1 || (fromServer && value === 1) ? PROTOCOL_ERROR : NO_ERROR;
      case MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        return NO_ERROR;
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_31) return FLOW_CONTROL_ERROR;
        this.initialWindow = value;
        return NO_ERROR;
      case MAX_FRAME_SIZE:
        if (value < MAX_FRAME_BYTES || value > 0xff_ffff) return PROTOCOL_ERROR;
        this.maxFrameBytes = value;
        return NO_ERROR;
      case MAX_HEADER_LIST_SIZE:
        this.maxListBytes = value;
        return NO_ERROR;
      case ENABLE_CONNECT_PROTOCOL:
        // RFC 8441 §3: once said, it can't be taken back.
        if (value > 1 || (this.connectProtocol && value === 0)) return PROTOCOL_ERROR;
        this.connectProtocol = value === 1;
        return NO_ERROR;
      default:
        return NO_ERROR;
    }
  }
}

/** What is wrong with the form of a SETTINGS frame, as an error code, or NO_ERROR. */
export function settingsFault(id: number, ack: boolean, length: number): number {
  if (id !== 0) return PROTOCOL_ERROR;
  return length % SETTING_BYTES !== 0 || (ack && length > 0) ? FRAME_SIZE_ERROR : NO_ERROR;
}

/** The setting that stands at `at`. */
export function settingAt(buf: Uint8Array, at: number): Setting {
  return [(buf[at] << 8) | buf[at + 1], readUint32(buf, at + 2)];
}

/** Writes a SETTINGS frame: 9 bytes, and 6 for each setting. @returns the index after it */
export function writeSettings(out: Uint8Array, at: number, settings: readonly Setting[]): number {
  at = writeHeader(out, at, settings.length * SETTING_BYTES, SETTINGS, 0, 0);
  for (const [id, value] of settings) {
    out[at] = id >>> 8;
    out[at + 1] = id;
    at = writeUint32(out, at + 2, value);
  }
  return at;
}
