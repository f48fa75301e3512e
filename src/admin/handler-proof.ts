import type { HandlerFault, HandlerProver } from '../core/handler-proof.ts';
import { type CompiledHandler, compileHandler } from '../core/option-handler.ts';
import type { Route, RouteFault } from '../core/types.ts';

/** Finds out whether routes' handlers can run. @returns a fault for each that can't; `index` is the route's place in the list */
export type ProveHandlers = (routes: readonly Route[]) => Promise<readonly RouteFault[]>;

export interface HandlerProofOptions {
  readonly prover: HandlerProver;
  /** Calls `run` once after `ms`. @returns takes the call back */
  after(ms: number, run: () => void): () => void;
  /** How many start at one time. Default 2: what is served meanwhile needs the cores as well. */
  readonly atOnce?: number;
  /** How many different ones a change may bring. Default 100. */
  readonly most?: number;
  /** How long one may take, ms. Default 30,000. */
  readonly eachMs?: number;
}

/** Starts each handler for real, each text once: that of a hundred routes is no other for the next one. */
export function createHandlerProof(options: HandlerProofOptions): ProveHandlers {
  const { prover, atOnce = 2, most = 100, eachMs = 30_000 } = options;

  async function proven(handler: CompiledHandler, routeId: string): Promise<HandlerFault | undefined> {
    let stop = () => {};
    const late = new Promise<HandlerFault>((resolve) => {
      const message = `it was not ready within ${eachMs / 1_000} s: what it does before its first request takes too long`;
      stop = options.after(eachMs, () => resolve({ message }));
    });
    try {
      return await Promise.race([prover.prove(handler, routeId), late]);
    } finally {
      stop();
    }
  }

  return async (routes) => {
    const groups = groupsOf(routes);
    if (groups.length > most) {
      const { index, id } = groups[most].uses[0];
      const message = `handler is the ${most + 1}th different one of this change; expected at most ${most}: save them in several parts`;
      return [{ index, id, field: 'handler', message }];
    }
    const faults: RouteFault[] = [];
    const waiting = [...groups];
    const work = async () => {
      for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
        const { handler, uses } = group;
        const fault = await proven(handler, uses[0].id);
        if (fault !== undefined)
          for (const { index, id, file } of uses)
            faults.push({ index, id, field: 'handler', message: faultText(file, fault) });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return faults.sort((a, b) => a.index - b.index);
  };
}

/** A text with its limits, and the routes that have it. */
interface Group {
  readonly handler: CompiledHandler;
  readonly uses: { readonly index: number; readonly id: string; readonly file: string }[];
}

function groupsOf(routes: readonly Route[]): Group[] {
  const groups = new Map<string, Group>();
  for (const [index, route] of routes.entries()) {
    const handler = compileHandler(route.handler, () => {});
    if (handler === null) continue;
    const { timeoutMs, memoryMb, source, file } = handler;
    const key = `${timeoutMs} ${memoryMb} ${source}`;
    const group = groups.get(key) ?? { handler, uses: [] };
    groups.set(key, group);
    group.uses.push({ index, id: route.id, file });
  }
  return [...groups.values()];
}

/** `handler can't run: ./auth.mjs:3:7: Unexpected token ';'`. */
function faultText(file: string, { message, line, column }: HandlerFault): string {
  const place = [file || 'source', ...[line, column].filter((one) => one !== undefined)].join(':');
  const said = message.replace(/\.$/, '').slice(0, 1_000);
  return `handler can't run: ${place}: ${said}`;
}
