import type { ConfigurationState } from '../admin/resources.ts';
import type { StoredChanges } from '../admin/store.ts';

/** Nobody changes what all callers share. */
export function frozen(state: ConfigurationState): ConfigurationState {
  for (const route of state.routes) freeze(route);
  Object.freeze(state.routes);
  return state;
}

/** What is frozen already is so within, too. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  for (const part of Object.values(value)) freeze(part);
  Object.freeze(value);
}

/** The state after some changes. What they leave as it is, is shared. */
export function applied(base: ConfigurationState, changes: StoredChanges): ConfigurationState {
  const { revision, save, remove, services, settings = base.settings } = changes;
  return frozen({
    revision,
    routes: merged(base.routes, save, remove),
    services: merged(base.services, services.save, services.remove),
    settings,
  });
}

function merged<T extends { readonly id: string }>(
  base: readonly T[],
  save: readonly T[],
  remove: readonly string[],
): readonly T[] {
  if (save.length === 0 && remove.length === 0) return base;
  const found = new Map(base.map((thing) => [thing.id, thing]));
  for (const thing of save) found.set(thing.id, thing);
  for (const id of remove) found.delete(id);
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
