/** What a command ends with when it can't do its work: one line, and a hint what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly hint: string | undefined;
  /** 1: it failed; 2: it was called wrongly. */
  readonly exitCode: 1 | 2;
  /** The server's, where it refused. */
  readonly code: string | undefined;

  constructor(
    message: string,
    { hint, exitCode = 1, code, cause }: { hint?: string; exitCode?: 1 | 2; code?: string; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.hint = hint;
    this.exitCode = exitCode;
    this.code = code;
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
