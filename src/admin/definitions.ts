import { isOwner } from '../core/compile.ts';
import { builtInSegments } from '../core/service-path.ts';
import type { Definition } from '../services/types.ts';
import { type Fault, readServiceOptions } from './schema.ts';
import { isSlug } from './tokens.ts';

/** How many definitions there can be, and how long each, characters of JSON. */
export const definitionLimits = { count: 5_000, characters: 65_536 };

/**
 * Proves definitions: mappings with an id, whose options are such as `ServiceOptions`. Other fields are anybody's.
 * @returns copies of them, or every fault that was found, in the list's order
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
    const text = JSON.stringify(item);
    const found = ownFaults(id, item, text);
    // A name that is none would be told as a fault of its target again.
    const read = isSlug(id) ? readServiceOptions(id, item) : { faults: [] };
    if ('faults' in read) found.push(...read.faults);
    if (found.length > 0) faults.push(...found.map((fault) => ({ ...fault, index, id })));
    else definitions.push(JSON.parse(text));
  }
  return faults.length > 0 ? { faults } : { definitions };
}

function ownFaults(id: string, { owner }: Record<string, unknown>, text: string): Fault[] {
  const faults: Fault[] = [];
  const shown = id.slice(0, 100).replace(/\p{C}/gu, '?');
  if (!isSlug(id)) {
    const message = `id '${shown}' is not a service name; expected 1 to 63 lower case letters, digits and inner hyphens`;
    faults.push({ field: 'id', message });
  } else if ((builtInSegments as readonly string[]).includes(id))
    faults.push({ field: 'id', message: `id '${id}' is oo's own; expected another name` });
  if (typeof owner === 'string' && !isOwner(owner)) {
    const label = String(owner).slice(0, 100).replace(/\p{C}/gu, '?');
    faults.push({
      field: 'owner',
      message: `owner is '${label}'; expected a label of letters, digits and ._-, up to 63`,
    });
  }
  const { characters } = definitionLimits;
  if (text.length > characters) faults.push({ message: `${shown} is larger than ${characters} characters of JSON` });
  return faults;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
