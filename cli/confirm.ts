import { CliError } from './failure.ts';
import type { Io } from './io.ts';

/**
 * Asks whether to go on, where somebody sits at a terminal; elsewhere it goes on.
 * @param yes `--yes`: nothing is asked
 * @throws CliError, exit code 2, for anything but yes
 */
export async function confirm(io: Io, question: string, yes: boolean | undefined): Promise<void> {
  if (yes || io.person?.ask === undefined) return;
  const answer = await io.person.ask(`${question} [y/N] `);
  if (/^\s*y(es)?\s*$/i.test(answer ?? '')) return;
  throw new CliError('Cancelled: nothing was changed.', {
    hint: 'y says yes; --yes answers it beforehand.',
    exitCode: 2,
  });
}
