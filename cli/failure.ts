export interface CliErrorOptions {
  readonly hint?: string;
  /** Default 1. */
  readonly exitCode?: 1 | 2 | 4;
  readonly code?: string;
  readonly faults?: readonly unknown[];
  readonly cause?: unknown;
}

/** What a command ends with when it can't do its work: one line, and a hint what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly hint: string | undefined;
  /** 1: it failed; 2: it was called wrongly, or cancelled; 4: the server does not let this caller do it. */
  readonly exitCode: 1 | 2 | 4;
  /** The server's, where it refused. */
  readonly code: string | undefined;
  /** Each thing that the server found wrong, where it said so. */
  readonly faults: readonly unknown[] | undefined;

  constructor(message: string, { hint, exitCode = 1, code, faults, cause }: CliErrorOptions = {}) {
    super(message, { cause });
    this.hint = hint;
    this.exitCode = exitCode;
    this.code = code;
    this.faults = faults;
  }
}

/** A flag, an argument or a variable that can't be: exit code 2. */
export function usageError(message: string, hint?: string): CliError {
  return new CliError(message, { hint, exitCode: 2 });
}

/** Any error as the lines that go to stderr, and the exit code. Faults of the program keep their stack. */
export function explain(error: unknown): { lines: string[]; exitCode: number } {
  const { message, hint, exitCode, stack } = error as CliError;
  if (typeof hint !== 'string' && !(error instanceof CliError)) return { lines: [String(stack ?? error)], exitCode: 1 };
  return { lines: hint ? [message, hint] : [message], exitCode: exitCode ?? 1 };
}
