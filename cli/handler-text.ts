import type { HandlerOptions } from '../src/core/handler-types.ts';
import { handlerLabel } from '../src/core/option-handler.ts';

/** What may have a handler: a route, or something else of the configuration. */
type Thing = object & { readonly handler?: unknown };

/** A thing as people are shown it: of a handler its file and version, `auth.mjs @ 1a2b3c4d`, and not its text. */
export function withoutSource<T extends object>(thing: T): T {
  const handler = sourced(thing);
  if (handler === undefined) return thing;
  const { file: _, source: __, ...limits } = handler;
  const label = handlerLabel(handler);
  return { ...thing, handler: Object.keys(limits).length === 0 ? label : { file: label, ...limits } };
}

/** The text of a thing's handler; '' for none. */
export function sourceOf(thing: object | null): string {
  return (thing && sourced(thing)?.source) ?? '';
}

/** As a file beside the handler's would name it: its text is in that file. @param file in the place of its own */
export function byFile({ file: own, source: _, ...limits }: HandlerOptions, file = own): string | HandlerOptions {
  return Object.keys(limits).length === 0 && file !== undefined
    ? file
    : { ...(file !== undefined && { file }), ...limits };
}

/** A handler that has its text, as those that are stored do. */
export function sourced(thing: Thing): (HandlerOptions & { readonly source: string }) | undefined {
  const { handler } = thing;
  if (typeof handler !== 'object' || handler === null) return undefined;
  return typeof (handler as HandlerOptions).source === 'string'
    ? (handler as HandlerOptions & { readonly source: string })
    : undefined;
}
