import type { Test } from 'uvu';
import { cleanUp } from '../helpers/cleanup.ts';
import { within } from '../helpers/wait.ts';
import type { Check } from './check.ts';
import { groups } from './checks.ts';
import { type RuntimeName, type Subject, startSubject } from './runtime.ts';

const checkMs = 30_000;

/** Adds every check to a suite, for one runtime: it passes, or fails as is told of that runtime. The caller runs the suite. */
export function contract(suite: Test, name: RuntimeName): void {
  let subject: Subject;
  suite.before(async () => {
    subject = await startSubject(name);
  });
  suite.after(() => subject?.close());
  // For work on one of them: CONTRACT_ONLY=WORD.
  const only = process.env.CONTRACT_ONLY ?? '';
  for (const { title, checks } of groups)
    for (const check of checks)
      if (`${title}: ${check.name}`.includes(only)) suite(`${title}: ${check.name}`, () => prove(subject, check));
}

async function prove(subject: Subject, { name, run, cannot }: Check): Promise<void> {
  const limit = cannot?.[subject.name];
  let failure: Error | undefined;
  try {
    await within(run(subject), name, checkMs);
  } catch (error) {
    failure = error as Error;
  } finally {
    cleanUp();
  }
  if (limit === undefined && failure !== undefined) {
    failure.message += `\n${subject.said()}`;
    throw failure;
  }
  if (limit === undefined) return;
  if (failure === undefined) throw new Error(`${subject.name} can do this now: take it out of the check's "cannot"`);
  if (!limit.fails.test(failure.message)) throw new Error(`fails otherwise than as ${limit.fails}: ${failure.message}`);
}
