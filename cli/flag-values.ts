import { spell } from './argv.ts';
import { usageError } from './failure.ts';

/**
 * A flag that may be given once, read by one of values.ts.
 * @param flag as cac has it: `maxWait`
 * @throws CliError, exit code 2
 */
export function flagOf<T>(
  options: Readonly<Record<string, unknown>>,
  flag: string,
  parse: (text: string) => T,
): T | undefined {
  const given = options[flag];
  if (given === undefined) return undefined;
  if (Array.isArray(given)) throw usageError(`${spell(flag)} is given more than once.`, 'Once is what it can be.');
  try {
    return parse(String(given));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw usageError(`${spell(flag)} is '${String(given)}'; expected ${error.message}.`);
  }
}

/** A flag that may be given several times. */
export function flagsOf(options: Readonly<Record<string, unknown>>, flag: string): string[] {
  const given = options[flag];
  return given === undefined ? [] : [given].flat().map(String);
}
