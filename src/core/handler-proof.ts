import type { CompiledHandler } from './option-handler.ts';

/** Why a handler can't run. */
export interface HandlerFault {
  /** One sentence, in a person's words: `Unexpected token ';'`. */
  readonly message: string;
  /** Where in its source, from 1; left out where it is about no line. */
  readonly line?: number;
  readonly column?: number;
}

/** Finds out whether handlers can run, before they are saved. The main process's `HandlerProcesses` is one. */
export interface HandlerProver {
  /**
   * Starts the handler as it would run, and waits until it could take a request. What has started is kept for the publication that follows, and
   * ends by itself where none does. Of a version of a route that runs already nothing is started.
   * @param handler with its source
   * @param routeId the route that it is for
   * @returns undefined: it can run
   */
  prove(handler: CompiledHandler, routeId: string): Promise<HandlerFault | undefined>;
}
