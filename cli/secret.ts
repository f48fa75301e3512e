import { CliError } from './failure.ts';

/** A terminal as far as a secret is typed at it. */
export interface SecretInput {
  setRawMode(on: boolean): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  off(event: 'data', listener: (chunk: Buffer) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** Asks for a line that is not shown while it is typed. */
export type AskSecret = (question: string) => Promise<string>;

/** What asks at this process's terminal; undefined where standard input or standard error is none. */
export function secretsOf({ stdin, stderr } = process): AskSecret | undefined {
  if (!stdin.isTTY || !stderr.isTTY) return undefined;
  return (question) => readSecret(question, stdin, (text) => void stderr.write(text));
}

/**
 * Reads a line, key by key, and shows nothing of it. Backspace takes a character back, Ctrl-U all.
 * @throws CliError (exit code 2) after Ctrl-C or Ctrl-D
 */
export function readSecret(question: string, input: SecretInput, say: (text: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let typed: string[] = [];
    const end = () => {
      input.off('data', hear);
      input.setRawMode(false);
      input.pause();
      say('\n');
    };
    const hear = (chunk: Buffer) => {
      for (const key of decoder.decode(chunk, { stream: true })) {
        if (key === '\r' || key === '\n') {
          end();
          return resolve(typed.join(''));
        }
        if (key === '\x03' || key === '\x04') {
          end();
          return reject(new CliError('Cancelled.', { hint: 'Nothing was made.', exitCode: 2 }));
        }
        if (key === '\x7f' || key === '\b') typed.pop();
        else if (key === '\x15') typed = [];
        else typed.push(key);
      }
    };
    say(question);
    input.setRawMode(true);
    input.on('data', hear);
    input.resume();
  });
}
