// As a name of an import, registerHooks would keep an older Node (before 22.15) from loading this at all.
import nodeModule, { isBuiltin } from 'node:module';
import vm from 'node:vm';
import type { HandlerFault } from '../core/handler-proof.ts';
import type { Handler } from '../core/handler-types.ts';

/** The module's address: what stacks say in place of a file. */
const moduleUrl = 'file:///handler.mjs';

/** A handler that can't be loaded. */
export class LoadError extends Error {
  readonly fault: HandlerFault;
  constructor(fault: HandlerFault, cause?: unknown) {
    super(fault.message, { cause });
    this.fault = fault;
  }
}

/**
 * Loads a handler from its source. Of the process that calls it there is one handler, and it is called once.
 * @throws LoadError; a SyntaxError of the module itself, whose place Node tells only where nobody catches it
 */
export async function loadHandler(source: string): Promise<Handler> {
  nodeModule.registerHooks({
    resolve(specifier, context, next) {
      if (specifier === moduleUrl) return { url: moduleUrl, format: 'module', shortCircuit: true };
      if (isBuiltin(specifier) || !context.parentURL?.startsWith(moduleUrl)) return next(specifier, context);
      throw new LoadError(refusedImport(specifier, source));
    },
    load(url, context, next) {
      return url === moduleUrl ? { format: 'module', source, shortCircuit: true } : next(url, context);
    },
  });
  const module = await importModule(moduleUrl).catch((error) => {
    throw asLoadError(error);
  });
  if (typeof module.default === 'function') return module.default as Handler;
  const what = 'default' in module ? `its default export is ${typeof module.default}` : 'it has no default export';
  throw new LoadError({ message: `${what}; expected export default (request, next, context) => Response` });
}

/** The program of an executable can't import anything but what Node brings: a script that is compiled for it can. */
function importModule(url: string): Promise<Record<string, unknown>> {
  const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  return new vm.Script('(url) => import(url)', { importModuleDynamically }).runInThisContext()(url);
}

function refusedImport(specifier: string, source: string): HandlerFault {
  const message = `it imports ${JSON.stringify(specifier)}; a handler is one file, so bundle it first (esbuild --bundle --format=esm --platform=node), or import node: modules only`;
  const at = source.search(new RegExp(`['"]${specifier.replace(/[^\w]/g, '\\$&')}['"]`));
  return at < 0 ? { message } : { message, line: source.slice(0, at).split('\n').length };
}

function asLoadError(error: unknown): unknown {
  if (error instanceof LoadError) return error;
  const stack = error instanceof Error ? String(error.stack) : '';
  const at = placeOf(stack);
  if (at === undefined && error instanceof SyntaxError) return error;
  return new LoadError({ message: messageOf(error), ...at }, error);
}

/** The first place in the handler's own source that a stack names. */
export function placeOf(stack: string): { line: number; column?: number } | undefined {
  const found = /handler\.mjs:(\d+)(?::(\d+))?/.exec(stack);
  if (found === null) return undefined;
  return found[2] === undefined ? { line: Number(found[1]) } : { line: Number(found[1]), column: Number(found[2]) };
}

/** `TypeError: x is not a function`, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `${show(error)} was thrown`;
  return text.split('\n', 1)[0].slice(0, 500);
}

function show(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

/** An error in one line: its message, and where in the handler's own source it comes from. Whatever was thrown, it throws nothing. */
export function describeError(error: unknown, file: string): string {
  try {
    return describe(error, file);
  } catch {
    return 'an error was thrown that says nothing of itself';
  }
}

function describe(error: unknown, file: string): string {
  const stack = error instanceof Error ? String(error.stack) : '';
  const frames = [...stack.matchAll(/at (?:async )?(?:([^\s(]+) \()?[^\s(]*handler\.mjs:(\d+):(\d+)/g)].slice(0, 4);
  const name = file || 'handler';
  const places = frames.map(([, what, line, column]) => `${name}:${line}:${column}${what ? ` (${what})` : ''}`);
  return `${messageOf(error)}${places.length === 0 ? '' : `, at ${places.join(', ')}`}`;
}
