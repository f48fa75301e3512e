import type { Registry } from '../../src/services/registry-types.ts';
import type { Definition } from '../../src/services/types.ts';

/** Gives a registry one definition more, or another in its place, as the configuration would. */
export function define(
  registry: Pick<Registry, 'definitions' | 'setDefinitions'>,
  definition: Definition,
): Promise<void> {
  const others = registry.definitions().filter(({ id }) => id !== definition.id);
  return registry.setDefinitions([...others, definition]);
}
