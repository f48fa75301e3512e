import { usageError } from './failure.ts';

/** Whether an argument means a revision of the configuration: `@5`. */
export function isRevision(text: string): boolean {
  return text.startsWith('@');
}

/**
 * `@5`, or `5`, as a number; `"5"` as an ETag has it, too.
 * @throws CliError, exit code 2
 */
export function revisionOf(text: unknown, what = 'The revision'): number {
  const [, digits] = /^(?:@|"(?=\d+"$))?(\d{1,15})"?$/.exec(String(text)) ?? [];
  if (digits !== undefined) return Number(digits);
  throw usageError(`${what} is '${String(text)}'; expected one such as @5.`, 'oo history shows those that there are.');
}
