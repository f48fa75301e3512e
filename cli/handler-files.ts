import { readFileSync, statSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, extname, resolve } from 'node:path';
import type { Fault } from '../src/admin/schema.ts';
import { maxHandlerSource } from '../src/core/option-handler.ts';

/** A route's `handler` as a file has it: its options, and where its text is. */
interface FiledHandler {
  readonly file: string;
  readonly [option: string]: unknown;
}

/**
 * A route as it is sent: its handler with the text of the file that it names. What says its source itself, and what is no such thing at all, stays as
 * it is: the core has words for it.
 * @param value what ought to be a route
 * @param source the file that says so: paths go from its directory, those of `stdin` from the present one
 */
export function withHandlerSource(value: unknown, source: string): { value: unknown } | { fault: Fault } {
  const handler = filedHandler(value);
  if (handler === undefined) return { value };
  const read = readHandler(resolve(source === 'stdin' ? '.' : dirname(source), handler.file));
  const { id } = value as { readonly id?: unknown };
  if ('source' in read) return { value: { ...(value as object), handler: { ...handler, source: read.source } } };
  const message = `handler.file: ${handler.file.slice(0, 200)}${read.line === undefined ? '' : `:${read.line}`}: ${read.why}`;
  return { fault: { ...(typeof id === 'string' && { id }), field: 'handler', message } };
}

/** Of a list; each fault has its place in it. */
export function withHandlerSources(items: readonly { readonly value: unknown; readonly source: string }[]): {
  values: unknown[];
  faults: Fault[];
} {
  const faults: Fault[] = [];
  const values = items.map(({ value, source }, index) => {
    const read = withHandlerSource(value, source);
    if ('value' in read) return read.value;
    faults.push({ index, ...read.fault });
    // Its own fault is told: not that it has no source as well.
    return { ...(value as object), handler: { ...filedHandler(value), source: ' ' } };
  });
  return { values, faults };
}

/** The handler that a route names by its file alone. */
export function filedHandler(value: unknown): FiledHandler | undefined {
  const { handler } = (typeof value === 'object' && value !== null ? value : {}) as { handler?: unknown };
  if (typeof handler === 'string' && handler !== '') return { file: handler };
  if (typeof handler !== 'object' || handler === null || Array.isArray(handler)) return undefined;
  const { file, source } = handler as { file?: unknown; source?: unknown };
  const isFiled = source === undefined && typeof file === 'string' && file !== '';
  return isFiled ? (handler as FiledHandler) : undefined;
}

/** Extensions of TypeScript, which the types are taken out of. */
const typed = new Set(['.ts', '.mts']);
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this user may not read it',
  ELOOP: 'its links lead in a circle',
};

/** A handler's text, as JavaScript; or why there is none, and in which of its lines. @param path absolute, or from here */
export function readHandler(path: string): { source: string } | { why: string; line?: number } {
  let bytes: Uint8Array;
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return { why: 'it is a directory; expected a file' };
    // A pipe or a device might never end.
    if (!stat.isFile()) return { why: 'it is no regular file' };
    if (stat.size > maxHandlerSource) {
      const most = `${maxHandlerSource / 1024} KiB`;
      return { why: `it has ${stat.size} bytes; expected at most ${most}: bundle it without what it does not need` };
    }
    bytes = readFileSync(path);
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    return { why: reasons[code] ?? message };
  }
  let source: string;
  try {
    source = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { why: 'it is not UTF-8 text; expected the source of an ES module' };
  }
  if (source.includes('\0')) return { why: 'it is not text; expected the source of an ES module' };
  if (source.trim() === '') return { why: 'it is empty; expected an ES module with a default export' };
  const extension = extname(path).toLowerCase();
  if (extension === '.tsx' || extension === '.jsx')
    return { why: `${extension} is not taken; expected .mjs, .js or .ts` };
  return typed.has(extension) ? stripped(source) : { source };
}

/** Types become spaces: lines and columns stay what they were. */
function stripped(source: string): { source: string } | { why: string; line?: number } {
  const { emitWarning } = process;
  try {
    // That it is experimental in Node is nothing that whoever runs oo can do anything about.
    process.emitWarning = () => {};
    return { source: stripTypeScriptTypes(source) };
  } catch (error) {
    const { message, stack = '' } = error as Error;
    const line = Number(/^[^\n]*:(\d+)\n/.exec(stack)?.[1] ?? Number.NaN);
    const why = `${message.split('\n')[0]}; expected TypeScript whose types can be left out, or JavaScript`;
    return { why, ...(Number.isSafeInteger(line) && { line }) };
  } finally {
    process.emitWarning = emitWarning;
  }
}
