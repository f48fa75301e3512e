import { IssueError, type IssueFailure, type IssueStep } from './types.ts';

const minute = 60_000;

/** What an error that an attempt ended with says; others than IssueErrors (of the database, say) are put into its form. */
export function failureOf(error: unknown, step: IssueStep, directory: string, now: number): IssueFailure {
  if (error instanceof IssueError) return error.failure;
  const { message, hint } = error as { message?: unknown; hint?: unknown };
  return {
    at: now,
    step,
    directory,
    message: typeof message === 'string' && message !== '' ? message.split('\n', 1)[0] : String(error),
    hint: typeof hint === 'string' ? hint : '',
    problem: '',
    retryAfter: 0,
  };
}

/**
 * One failure of several, each of another CA. The first CA's is what a person should mend, so its step, hint and problem
 * stand; the message has all. A wish to be left alone counts only if all have one.
 */
export function combined(failures: readonly IssueFailure[]): IssueFailure {
  const [main, ...others] = failures;
  if (others.length === 0) return main;
  const told = others.map(
    ({ directory, step, message }) => `then ${caName(directory)} (${step}): ${sentence(message)}`,
  );
  const wishes = failures.map(({ retryAfter }) => retryAfter);
  const retryAfter = wishes.includes(0) ? 0 : Math.min(...wishes);
  return { ...main, message: `${sentence(main.message)} ${told.join(' ')}`, retryAfter };
}

/** The host of a CA's directory URL: what a person calls it by. */
export function caName(directory: string): string {
  return URL.canParse(directory) ? new URL(directory).host : directory || 'the CA';
}

/** The log's line for a failed attempt. */
export function failureLine(id: string, failure: IssueFailure, nextTryAt: number, now: number): string {
  const at = failure.directory === '' || failure.directory === 'local' ? '' : ` at ${caName(failure.directory)}`;
  const words = [`certificate ${id}: ${failure.step} failed${at}:`, sentence(failure.message)];
  if (failure.hint !== '') words.push(sentence(failure.hint));
  words.push(nextTryAt > now ? `Next attempt ${when(nextTryAt, now)}.` : 'The next attempt follows at once.');
  return words.join(' ');
}

/** `in 3 minutes (2026-11-23T03:00:00Z)`. */
export function when(at: number, now: number): string {
  return `in ${duration(at - now)} (${new Date(at).toISOString().replace(/\.[0-9]+/, '')})`;
}

/** In the unit that says it best: `40 seconds`, `3 minutes`, `5 hours`, `60 days`. */
export function duration(ms: number): string {
  const [unit, size] = (
    [
      ['day', 1440 * minute],
      ['hour', 60 * minute],
      ['minute', minute],
      ['second', 1000],
    ] as const
  ).find(([, size]) => ms >= 2 * size) ?? ['second', 1000];
  const count = Math.max(0, Math.round(ms / size));
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

function sentence(text: string): string {
  return /[.!?)]$/.test(text) ? text : `${text}.`;
}
