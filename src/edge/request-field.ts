import type { RequestRegisters } from './request-head.ts';

const CR = 13;
const LF = 10;
const COLON = 58;

/** Where a field's value was found: `value` writes it here, so that a request allocates nothing for it. */
export const found = { start: 0, end: 0 };

/**
 * Looks for a field in a request's head, whatever protocol it came by; sets `found` to its value, without the white space around it.
 * @param name in lower case
 * @param from where to go on: the `found.end` of the line before; 0 for the first
 * @returns false if there is none (any more)
 */
export function findField(buffer: Buffer, head: RequestRegisters, name: Uint8Array, from = 0): boolean {
  const last = head.end - 2;
  let at = buffer.indexOf(LF, from === 0 ? head.targetEnd : from) + 1;
  while (at > 0 && at < last) {
    if (isNamed(buffer, at, name)) {
      setValue(buffer, at + name.length + 1, buffer.indexOf(LF, at));
      return true;
    }
    at = buffer.indexOf(LF, at) + 1;
  }
  return false;
}

function isNamed(buffer: Buffer, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const c = buffer[at + i];
    const lower = c >= 65 && c <= 90 ? c + 32 : c;
    if (lower !== name[i]) return false;
  }
  return buffer[at + name.length] === COLON;
}

function setValue(buffer: Buffer, from: number, lineEnd: number): void {
  let start = from;
  let end = buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
  while (start < end && isBlank(buffer[start])) start++;
  while (end > start && isBlank(buffer[end - 1])) end--;
  found.start = start;
  found.end = end;
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}
