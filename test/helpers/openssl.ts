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
