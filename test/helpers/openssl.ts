import { spawn } from 'node:child_process';
import { within } from './wait.ts';

/** What `openssl s_client` said, both outputs in one. */
export interface ClientReport {
  readonly text: string;
  /** The number of the fatal alert that it got; 0: none. */
  readonly alert: number;
  /** The handshake was done. */
  readonly done: boolean;
  readonly reused: boolean;
}

/** Has `openssl s_client` follow commands of its own (`R`, `K`), one after the other, and end when it has said `until`, or 5 s later. */
export async function sClientCommands(
  port: number,
  options: string,
  commands: readonly string[],
  until: RegExp,
): Promise<string> {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, ...options.split(' ')];
  const child = spawn('openssl', args, { stdio: 'pipe' });
  let text = '';
  let left = [...commands];
  const next = () => {
    const command = left.shift();
    if (command !== undefined) child.stdin.write(`${command}\n`);
  };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('latin1').on('data', (part) => {
      text += part;
      if (until.test(text)) child.stdin.end();
    });
  child.stdin.on('error', () => {
    left = [];
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  // Each command must be a read of its own.
  const pace = setInterval(next, 20);
  const limit = setTimeout(() => child.stdin.end(), 5_000 + commands.length * 25);
  try {
    await within(ended, `openssl s_client ${options}`, 20_000 + commands.length * 25);
  } finally {
    clearInterval(pace);
    clearTimeout(limit);
    child.kill();
  }
  return text;
}

/**
 * Connects with `openssl s_client` to a port of 127.0.0.1.
 * @param options as on its command line, apart by spaces
 * @param input is sent, and the connection ended at its end; undefined: it ends once it is open
 */
export async function sClient(port: number, options: string, input?: string): Promise<ClientReport> {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, ...options.split(' ').filter((each) => each !== '')];
  // With input it waits for the server to end the connection.
  if (input !== undefined) args.push('-quiet', '-ign_eof');
  const child = spawn('openssl', args, { stdio: 'pipe' });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('latin1').on('data', (part) => (text += part));
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const ended = new Promise((resolve) => child.on('close', resolve));
  try {
    await within(ended, `openssl s_client ${options}`, 20_000);
  } finally {
    child.kill();
  }
  const alert = Number(/SSL alert number (\d+)/.exec(text)?.[1] ?? 0);
  return { text, alert, done: /(?:New|Reused), TLSv1/.test(text), reused: text.includes('Reused, ') };
}
