import { DnsHookError } from './dns-hook.ts';
import { BadCertificate } from './issuer-certificate.ts';
import { type FailedWay, NotProven } from './issuer-order.ts';
import { CaFault, CaProblem } from './issuer-transport.ts';
import { explainFault, explainProblem, oneLine, type ProblemContext, type Words } from './problem.ts';
import { IssueError, type IssueStep } from './types.ts';

export interface FailureContext {
  readonly step: IssueStep;
  /** The CA's directory URL. */
  readonly directory: string;
  readonly names: readonly string[];
  readonly caaIdentities: readonly string[];
  readonly now: number;
  /** The caller has aborted. */
  readonly aborted: boolean;
}

const maxShown = 5;

/** Whatever went wrong, as what a person reads. */
export function issueError(error: unknown, context: FailureContext): IssueError {
  if (error instanceof IssueError) return error;
  const { step, directory, now } = context;
  const words = wordsOf(error, context);
  return new IssueError({ at: now, step, directory, ...words }, error);
}

function wordsOf(error: unknown, context: FailureContext): Words {
  const { directory, names } = context;
  if (context.aborted) return plain('stopped before it was done', 'It starts again by itself');
  if (error instanceof NotProven) return notProven(error.failed, context);
  if (error instanceof CaProblem)
    return explainProblem(error.problem, { ...about(context, names, ''), retryAfter: error.retryAfter });
  if (error instanceof CaFault) {
    const known = explainFault(error.code, { host: error.host, directory });
    return {
      message: known?.message ?? error.message,
      hint: error.hint || (known?.hint ?? 'It is tried again, with growing pauses'),
      problem: '',
      retryAfter: 0,
    };
  }
  if (error instanceof DnsHookError || error instanceof BadCertificate) return plain(error.message, error.hint);
  if (error instanceof Error && error.name === 'TimeoutError')
    return plain('not done in time', 'The CA is slow; it is tried again, with growing pauses');
  // From the store or from who brings challenges to the workers; these have hints of their own.
  const { message, hint } = error as { message?: unknown; hint?: unknown };
  return plain(oneLine(message) || String(error), oneLine(hint) || 'It is tried again, with growing pauses');
}

/** `example.com: http-01: …; tls-alpn-01: …`. What to do is said of the first way, which was the preferred one. */
function notProven(failed: readonly FailedWay[], context: FailureContext): Words {
  const names = [...new Set(failed.map(({ name }) => name))];
  const explained = failed.map(({ name, way, problem }) => {
    const others = context.names.filter((other) => other !== name);
    return { name, way, words: explainProblem(problem, about(context, [name, ...others], way)) };
  });
  const lines = names.slice(0, maxShown).map((name) => {
    const ways = explained.filter((one) => one.name === name).map(({ way, words }) => `${way}: ${words.message}`);
    return `${name}: ${ways.join('; ')}`;
  });
  const more = names.length > maxShown ? [`and ${names.length - maxShown} more names`] : [];
  const [first] = explained;
  return {
    message: [...lines, ...more].join('; '),
    hint: first.words.hint,
    problem: first.words.problem,
    retryAfter: Math.max(...explained.map(({ words }) => words.retryAfter)),
  };
}

function about(
  { directory, caaIdentities, now }: FailureContext,
  names: readonly string[],
  challenge: string,
): ProblemContext {
  return { directory, caaIdentities, now, names, challenge, retryAfter: 0 };
}

function plain(message: string, hint: string): Words {
  return { message, hint, problem: '', retryAfter: 0 };
}
