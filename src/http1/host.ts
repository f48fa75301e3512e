import { COLON, HEX } from './bytes.ts';

/** The most bytes of a host name: 253 and the root's dot (RFC 1035 §2.3.4), rounded up. */
const MAX_HOST_BYTES = 255;
const DOT = 46;

/** 1 for the bytes of a host name. Narrower than RFC 3986's reg-name: no percent, no sub-delims, which name no real host. */
const HOST_BYTE = new Uint8Array(256);
for (let c = 48; c <= 57; c++) HOST_BYTE[c] = 1;
for (let c = 65; c <= 90; c++) HOST_BYTE[c] = HOST_BYTE[c + 32] = 1;
HOST_BYTE[45] = HOST_BYTE[95] = 1;

/**
 * Is [start,end) a `uri-host [":" port]` (RFC 9110 §7.2) that can name a host: letters, digits, `-`, `_` in labels parted by single
 * dots, a dot at the end or not, or an IPv6 address in brackets; then nothing, or `:` and a port of at most 65535, or `:` alone?
 */
export function isAuthority(buf: Uint8Array, start: number, end: number): boolean {
  let p = start;
  if (p >= end) return false;
  if (buf[p] === 91) {
    while (p < end && buf[p] !== 93) p++;
    if (p >= end || !isIPv6(buf, start + 1, p)) return false;
    p++;
  } else {
    let label = p;
    for (; p < end; p++) {
      const c = buf[p];
      if (HOST_BYTE[c] === 1) continue;
      if (c !== DOT) break;
      if (p === label) return false;
      label = p + 1;
    }
    if (p === start || p - start > MAX_HOST_BYTES) return false;
  }
  return p === end || (buf[p] === COLON && isPort(buf, p + 1, end));
}

function isPort(buf: Uint8Array, start: number, end: number): boolean {
  if (end - start > 5) return false;
  let port = 0;
  for (let p = start; p < end; p++) {
    const digit = buf[p] - 48;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65535;
}

/** RFC 3986 §3.2.2 IPv6address; no zone and no IPvFuture. */
function isIPv6(buf: Uint8Array, start: number, end: number): boolean {
  let groups = 0;
  let gap = false;
  let p = start;
  if (end - p >= 2 && buf[p] === COLON && buf[p + 1] === COLON) {
    gap = true;
    p += 2;
  }
  while (p < end) {
    const from = p;
    while (p < end && HEX[buf[p]] !== 255) p++;
    if (p < end && buf[p] === DOT) {
      groups += 2;
      if (!isIPv4(buf, from, end)) return false;
      break;
    }
    if (p === from || p - from > 4) return false;
    groups++;
    if (p === end) break;
    if (buf[p++] !== COLON || p === end) return false;
    if (buf[p] === COLON) {
      if (gap) return false;
      gap = true;
      p++;
    }
  }
  return gap ? groups < 8 : groups === 8;
}

function isIPv4(buf: Uint8Array, start: number, end: number): boolean {
  let parts = 0;
  for (let p = start; p <= end; p++) {
    const from = p;
    let part = 0;
    while (p < end && buf[p] >= 48 && buf[p] <= 57) part = part * 10 + buf[p++] - 48;
    if (p === from || p - from > 3 || part > 255 || (p - from > 1 && buf[from] === 48)) return false;
    parts++;
    if (p < end && buf[p] !== DOT) return false;
  }
  return parts === 4;
}
