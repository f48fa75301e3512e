import type { StoredSettings } from './resources.ts';
import type { Fault } from './schema.ts';

/** What each stored setting can be. */
export const settingBounds: Readonly<Record<keyof StoredSettings, { readonly least: number; readonly most: number }>> =
  {
    historyRevisions: { least: 1, most: 100_000 },
    recentRequests: { least: 0, most: 100_000 },
    apiRequestsPerMinute: { least: 1, most: 1_000_000_000 },
    auditEntries: { least: 100, most: 1_000_000 },
  };

const names = Object.keys(settingBounds) as (keyof StoredSettings)[];

/**
 * Proves stored settings.
 * @returns those that are set, in their own order, or every fault that was found
 */
export function readSettings(value: unknown): { settings: StoredSettings } | { faults: Fault[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { faults: [{ message: `settings are a mapping; expected one with ${names.join(', ')}` }] };
  const given = value as Record<string, unknown>;
  const faults: Fault[] = [];
  for (const field of Object.keys(given)) {
    if (Object.hasOwn(settingBounds, field)) continue;
    const message = `unknown setting '${field.slice(0, 100).replace(/\p{C}/gu, '?')}'; expected one of ${names.join(', ')}`;
    faults.push({ id: 'server', field, message });
  }
  const settings: Partial<Record<keyof StoredSettings, number>> = {};
  for (const field of names) {
    const number = Object.hasOwn(given, field) ? given[field] : undefined;
    if (number === undefined) continue;
    const { least, most } = settingBounds[field];
    if (Number.isSafeInteger(number) && (number as number) >= least && (number as number) <= most)
      settings[field] = number as number;
    else faults.push({ id: 'server', field, message: `${field} is no whole number from ${least} to ${most}` });
  }
  return faults.length > 0 ? { faults } : { settings };
}
