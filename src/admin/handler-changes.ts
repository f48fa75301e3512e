import { compileHandler } from '../core/option-handler.ts';
import type { Route } from '../core/types.ts';
import type { ProveHandlers } from './handler-proof.ts';
import type { ResourceChange } from './resources.ts';
import type { Fault } from './schema.ts';

type Change = Pick<ResourceChange, 'kind' | 'id' | 'before' | 'after'>;

/** What is found out about the handlers of one change, however often it is planned again. */
export interface HandlerProofs {
  /**
   * Proves the handlers that are new, or other ones than before, and were not looked at yet.
   * @param ids those of the list that was sent, in its order: faults have their place in it
   */
  faultsOf(changes: readonly Change[], ids?: readonly string[]): Promise<Fault[]>;
}

/** @param prove default: nothing is proven */
export function handlerProofs(prove: ProveHandlers | undefined): HandlerProofs {
  const known = new Map<string, string>();
  return {
    async faultsOf(changes, ids = []) {
      const changed = prove === undefined ? [] : changes.filter(hasNewHandler);
      if (changed.length === 0) return [];
      const fresh = changed.filter((change) => !known.has(keyOf(change)));
      const faults = fresh.length === 0 ? [] : await prove!(fresh.map(({ after }) => after as Route));
      for (const change of fresh) known.set(keyOf(change), '');
      for (const { index, message } of faults) known.set(keyOf(fresh[index]), message);
      const places = new Map(ids.map((id, index) => [id, index]));
      return changed.flatMap((change) => {
        const { id } = change;
        const message = known.get(keyOf(change)) ?? '';
        const index = places.get(id);
        return message === '' ? [] : [{ ...(index !== undefined && { index }), id, field: 'handler', message }];
      });
    },
  };
}

function hasNewHandler({ kind, before, after }: Change): boolean {
  if (kind !== 'route' || after === null) return false;
  const now = versionOf(after as Route);
  return now !== undefined && now !== versionOf(before as Route | null);
}

function versionOf(route: Route | null): string | undefined {
  return compileHandler(route?.handler, () => {})?.version;
}

/** The texts themselves: versions are short. */
function keyOf({ id, after }: Change): string {
  return JSON.stringify([id, (after as Route).handler]);
}
