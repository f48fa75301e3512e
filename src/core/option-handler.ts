import type { HandlerOptions } from './handler-types.ts';
import { isMapping, type Kind, proven, type Say, show, whole } from './pool-proof.ts';

/** A route's handler, proven. Frozen. */
export interface CompiledHandler {
  /** For people; '' where it is not known. */
  readonly file: string;
  /** '' where only `file` is given: an embedder has the function of that name. */
  readonly source: string;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** 16 hex digits that differ where source or limits do. No secret, and no defence against who wants two to meet. */
  readonly version: string;
}

export const defaultHandlerTimeoutMs = 10_000;
export const defaultHandlerMemoryMb = 128;
export const maxHandlerSource = 256 * 1024;

const text = (expected: string): Kind => ({ expected, is: (value) => typeof value === 'string' && value !== '' });
const fields = {
  file: text('a file such as ./auth.mjs'),
  source: text('the text of an ES module'),
  timeoutMs: whole(1, 2 ** 31 - 1),
  memoryMb: whole(16, 4_096),
} satisfies Record<string, Kind>;

/** Proves an option's `handler`. @param value anything; undefined is none @returns null for none */
export function compileHandler(value: unknown, say: Say): CompiledHandler | null {
  if (value === undefined) return null;
  const options = typeof value === 'string' ? { file: value } : value;
  if (!isMapping(options)) {
    say(`handler is ${show(value)}; expected a file such as ./auth.mjs, or a mapping with file`);
    return null;
  }
  const told = proven(options, 'handler', fields, say);
  const { file = '', source = '' } = told as { file?: string; source?: string };
  if (options.file === undefined && options.source === undefined)
    say('handler has neither file nor source; expected a file such as ./auth.mjs');
  if (source.length > maxHandlerSource)
    say(`handler.source has ${source.length} characters; expected at most ${maxHandlerSource}`);
  const timeoutMs = (told.timeoutMs as number | undefined) ?? defaultHandlerTimeoutMs;
  const memoryMb = (told.memoryMb as number | undefined) ?? defaultHandlerMemoryMb;
  return Object.freeze({ file, source, timeoutMs, memoryMb, version: versionOf(`${timeoutMs} ${memoryMb} ${source}`) });
}

/** Two lanes of 32 bits that feed each other. */
function versionOf(content: string): string {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < content.length; i++) {
    const unit = content.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit ^ (high >>> 15), 0x5f356495);
    high ^= low >>> 13;
  }
  return [high, low].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
}

/** `auth.mjs @ 1a2b3c4d`: which handler a route has, in a word. @param handler as it is stored */
export function handlerLabel(handler: string | HandlerOptions): string {
  const compiled = compileHandler(handler, () => {});
  return compiled === null ? 'handler' : labelOf(compiled);
}

/** Likewise of one that is proven. */
export function labelOf({ file, version }: CompiledHandler): string {
  return `${file.replace(/^\.\//, '') || 'handler'} @ ${version.slice(0, 8)}`;
}

/** One line for people. */
export function describeHandler({ file, version, timeoutMs, memoryMb }: CompiledHandler): string {
  return `handler ${file || 'without a file'}, version ${version}: within ${timeoutMs} ms and ${memoryMb} MiB`;
}
