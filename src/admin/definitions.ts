import type { Definition } from '../services/types.ts';
import { type Fault, readServiceOptions } from './schema.ts';

/**
 * Proves definitions: mappings with an id, whose options are such as `ServiceOptions`. Other fields are anybody's.
 * @returns them, or every fault that was found, in the list's order
 */
export function readDefinitions(list: readonly unknown[]): { definitions: Definition[] } | { faults: Fault[] } {
  const faults: Fault[] = [];
  const definitions: Definition[] = [];
  const places = new Map<string, number>();
  for (const [index, item] of list.entries()) {
    if (!isMapping(item)) {
      faults.push({ index, message: 'a definition is a mapping; expected one with id and options, such as balance' });
      continue;
    }
    const { id } = item;
    if (typeof id !== 'string' || id === '') {
      const message = `id is ${id === undefined ? 'missing' : 'no text'}; expected the service's name, such as user-svc`;
      faults.push({ index, field: 'id', message });
      continue;
    }
    const first = places.get(id);
    if (first !== undefined) {
      const message = `id '${id}' is that of definition ${first + 1} of the list too; expected each id once`;
      faults.push({ index, id, field: 'id', first, message });
      continue;
    }
    places.set(id, index);
    const read = readServiceOptions(id, item);
    if ('faults' in read) faults.push(...read.faults.map((fault) => ({ ...fault, index, id })));
    else definitions.push(item as Definition);
  }
  return faults.length > 0 ? { faults } : { definitions };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
