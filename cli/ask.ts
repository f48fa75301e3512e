import type { Io } from './io.ts';

/** Whether somebody sits there that can be asked: standard input and standard error are terminals. */
export function canAsk({ env }: Io): boolean {
  return Boolean(process.stdin.isTTY && process.stderr.isTTY && env.TERM !== 'dumb');
}

/**
 * Asks for a line that is not shown while it is typed: a password, a token. Only where `canAsk`.
 * @returns undefined after Ctrl-C or Ctrl-D
 */
export function askSecret(io: Io, question: string): Promise<string | undefined> {
  const { stdin } = process;
  io.err(question);
  return new Promise((resolve) => {
    let text = '';
    const done = (answer: string | undefined) => {
      stdin.off('data', hear);
      stdin.setRawMode(false);
      stdin.pause();
      io.err('\n');
      resolve(answer);
    };
    const hear = (chunk: Buffer) => {
      for (const key of chunk.toString()) {
        if (key === '\r' || key === '\n') return done(text);
        if (key === '\x03' || key === '\x04') return done(undefined);
        if (key === '\x7f' || key === '\b') text = [...text].slice(0, -1).join('');
        else if (key >= ' ') text += key;
      }
    };
    stdin.setRawMode(true);
    stdin.on('data', hear);
    stdin.resume();
  });
}
