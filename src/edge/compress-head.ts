import { type Coding, encodedDrops, variesByEncoding, weakTag } from '../core/option-compress.ts';
import type { ResponseRegisters } from './downstream.ts';
import type { Rewrite } from './rewrite.ts';
import { maxResponseFields, maxResponseHeadBytes } from './settings.ts';

/** A response's head as text, one character a byte, without what is cut of it. */
export interface HeadText {
  /** Start line and fields. */
  readonly lines: readonly string[];
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly cacheControl: string;
  readonly vary: string;
  readonly etag: string;
}

/** So much more may be written into a head: whoever scans it then must not find it too large. */
const spareBytes = 256;
const spareFields = 4;

/**
 * @param rewrite what the route's options make of it before
 * @returns null where there is no room for fields of ours
 */
export function readHead(
  buffer: Buffer,
  start: number,
  head: ResponseRegisters,
  rewrite: Rewrite | null,
): HeadText | null {
  const { cuts, cutCount, end } = head;
  let text = '';
  let from = start;
  for (let i = 0; i < cutCount; i += 2) {
    text += buffer.toString('latin1', from, cuts[i]);
    from = cuts[i + 1];
  }
  text += buffer.toString('latin1', from, end - 2);
  if (rewrite !== null) text = rewrite.response(text);
  // Its last line's end: whichever line that is, once those that are cut are gone.
  const lines = text.slice(0, -2).split('\r\n');
  if (text.length > maxResponseHeadBytes - spareBytes || lines.length > maxResponseFields - spareFields) return null;
  const values = { 'content-type': '', 'content-encoding': '', 'cache-control': '', vary: '', etag: '' };
  for (let i = 1; i < lines.length; i++) {
    const name = fieldName(lines[i]);
    if (!Object.hasOwn(values, name)) continue;
    const known = name as keyof typeof values;
    const value = fieldValue(lines[i]);
    values[known] = values[known] === '' ? value : `${values[known]}, ${value}`;
  }
  return {
    ...{ lines, contentType: values['content-type'], contentEncoding: values['content-encoding'] },
    ...{ cacheControl: values['cache-control'], vary: values.vary, etag: values.etag },
  };
}

function fieldName(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}

function fieldValue(line: string): string {
  return line.slice(line.indexOf(':') + 1).trim();
}

/** The same head, for a body that is sent as it is though it is encoded for others: caches must know that. */
export function variedHead({ lines, vary }: HeadText): Buffer {
  return bytesOf([...lines, ...varyLines(vary)]);
}

/** A 304 for a client that has an encoded body. */
export function weakHead(head: HeadText): Buffer {
  return bytesOf([...head.lines.map(weakened), ...varyLines(head.vary)]);
}

/**
 * The head of an encoded body.
 * @param framing how the body ends: its length, in chunks, or as the protocol ends it (and HEAD's, of which nothing is known)
 */
export function encodedHead(head: HeadText, coding: Coding, framing: number | 'chunked' | 'none'): Buffer {
  const kept = keptLines(head, encodedDrops);
  return bytesOf([...kept.map(weakened), `Content-Encoding: ${coding}`, ...varyLines(head.vary), ...framed(framing)]);
}

/** The head of a body that stays as it is, but whose framing is ours. @param varies others get it encoded */
export function reframedHead(head: HeadText, framing: number | 'chunked' | 'none', varies: boolean): Buffer {
  return bytesOf([...keptLines(head, lengthOnly), ...(varies ? varyLines(head.vary) : []), ...framed(framing)]);
}

const lengthOnly: ReadonlySet<string> = new Set(['content-length']);

/** The version is ours, as is the framing: an HTTP/1.0 upstream knows no chunks, its clients may. */
function keptLines({ lines }: HeadText, drops: ReadonlySet<string>): string[] {
  const kept = [`HTTP/1.1${lines[0].slice(8)}`];
  for (let i = 1; i < lines.length; i++) {
    const name = fieldName(lines[i]);
    if (name !== 'transfer-encoding' && !drops.has(name)) kept.push(lines[i]);
  }
  return kept;
}

function weakened(line: string): string {
  return fieldName(line) === 'etag' ? `ETag: ${weakTag(fieldValue(line))}` : line;
}

function varyLines(vary: string): string[] {
  return variesByEncoding(vary) ? [] : ['Vary: Accept-Encoding'];
}

function framed(framing: number | 'chunked' | 'none'): string[] {
  if (framing === 'none') return [];
  return [framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${framing}`];
}

function bytesOf(lines: string[]): Buffer {
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
