import type { Command } from 'cac';
import { registrationFields } from '../src/admin/registry-schema.ts';
import type { Fault } from '../src/admin/schema.ts';
import { nearest, spell } from './argv.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { faultsFound, readItems, sourcesOf } from './route-files.ts';
import * as values from './values.ts';

/** The flags of one registration, as cac gives them. */
export type RegistrationOptions = Readonly<Record<string, unknown>>;

/** What is sent to register an instance; the server proves it. */
export interface Registration {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Where it stands in a file; '' for flags. */
  readonly place: string;
}

interface RegistrationFlag {
  readonly flag: string;
  readonly value: string;
  readonly field: string;
  readonly description: string;
  readonly parse: (text: string) => unknown;
}

const text = (given: string) => given;
const list = (given: string) => given.split(',').map((one) => one.trim());

const flags: readonly RegistrationFlag[] = [
  { flag: 'slug', value: 'SERVICE', field: 'slug', description: 'Whose instance it is', parse: text },
  { flag: 'url', value: 'URL', field: 'url', description: 'Where it answers, as oo reaches it', parse: text },
  { flag: 'id', value: 'ID', field: 'id', description: 'Its id (default: made of service and url)', parse: text },
  {
    flag: 'ttl',
    value: 'TIME',
    field: 'ttlSeconds',
    description: 'How long it lives after a heartbeat, from 5s',
    parse: (given) => values.duration(5_000)(given) / 1_000,
  },
  {
    flag: 'weight',
    value: 'N',
    field: 'weight',
    description: 'Its share of the requests next to the others, 1 (default) to 1000',
    parse: values.count(1, 1_000),
  },
  {
    flag: 'priority',
    value: 'N',
    field: 'priority',
    description: '0 (default) is asked first, higher ones only when those before are down',
    parse: values.count(0, 100),
  },
  { flag: 'tags', value: 'TAGS', field: 'tags', description: 'Texts of your own, between commas', parse: list },
  { flag: 'deployment-id', value: 'ID', field: 'deploymentId', description: 'Which deployment it is of', parse: text },
];

export function addRegistrationFlags(command: Command): void {
  for (const { flag, value, description } of flags) command.option(`--${flag} <${value}>`, description);
}

/**
 * The registration that the flags make.
 * @returns undefined where none of them is given
 * @throws CliError, exit code 2
 */
export function registrationOf(options: RegistrationOptions): Registration | undefined {
  const given = flags.flatMap(({ flag, field, parse }) => {
    const value = options[flag.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase())];
    return value === undefined ? [] : [[field, parsed(flag, parse, value)] as const];
  });
  return given.length === 0 ? undefined : { fields: Object.fromEntries(given), place: '' };
}

function parsed(flag: string, parse: (text: string) => unknown, given: unknown): unknown {
  if (Array.isArray(given)) throw usageError(`${spell(flag)} is given more than once.`, 'Give it once.');
  try {
    return parse(String(given));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw usageError(`--${flag} is '${String(given)}'; expected ${error.message}.`);
  }
}

/** @throws CliError where a file has faults, or nothing */
export async function registrationsOf(io: Io, paths: readonly string[]): Promise<Registration[]> {
  const read = await readItems(await sourcesOf(io, paths), prove);
  if ('faults' in read) throw faultsFound(io, read.faults);
  if (read.values.length === 0) {
    const hint = 'Expected YAML or JSON with slug and url; of a directory, its .yaml, .yml and .json files are read.';
    throw new CliError(`There are no instances in ${paths.join(', ')}.`, { hint });
  }
  const places = await Promise.all(read.items.map(async (item) => `${item.source}:${await item.line()}`));
  return read.values.map((fields, i) => ({ fields, place: places[i] }));
}

/** The shape; values are the server's to prove. */
function prove(items: readonly unknown[]): { values: Record<string, unknown>[] } | { faults: Fault[] } {
  const faults = items.flatMap((item, index): Fault[] => {
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      return [{ index, message: 'an instance is a mapping; expected one with slug and url' }];
    return Object.keys(item)
      .filter((field) => !registrationFields.includes(field))
      .map((field) => ({ index, field, message: unknownField(field) }));
  });
  return faults.length > 0 ? { faults } : { values: items as Record<string, unknown>[] };
}

function unknownField(field: string): string {
  const meant = nearest(field, registrationFields);
  const expected = meant ? `did you mean ${meant}?` : `expected one of ${registrationFields.join(', ')}`;
  return `unknown field '${field.slice(0, 100).replace(/\p{C}/gu, '?')}'; ${expected}`;
}
