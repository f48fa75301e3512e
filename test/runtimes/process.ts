import { spawn } from 'node:child_process';
import { until } from '../helpers/wait.ts';

const startMs = 20_000;
const live = new Set<() => void>();
process.on('exit', () => {
  for (const end of live) end();
});

export interface StartedProcess {
  readonly pid: number;
  readonly port: number;
  /** What it has written to standard error. */
  said(): string;
  stop(): Promise<void>;
}

/** Starts a server that tells its port on standard output: `listening 1234`, as workerd does by `"port":1234`, or as oo does on standard error. */
export async function startProcess(
  name: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<StartedProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const end = () => void child.kill('SIGKILL');
  live.add(end);
  let out = '';
  let err = '';
  let over = false;
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (err = (err + text).slice(-20_000)));
  child.on('error', (error) => {
    err += error.message;
    over = true;
  });
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => {
      over = true;
      live.delete(end);
      resolve();
    });
  });
  const port = () =>
    Number(
      /listening (\d+)|"port":(\d+)|listens on port (\d+)/
        .exec(out + err)
        ?.slice(1)
        .find(Boolean) ?? 0,
    );
  await until(() => over || port() > 0, `the port of ${name}`, startMs).catch((error) => {
    end();
    throw new Error(`${error.message}: ${out}${err}`);
  });
  if (over) throw new Error(`${name} ended: ${out}${err}`);
  return {
    pid: child.pid!,
    port: port(),
    said: () => err,
    async stop() {
      end();
      if (!over) await ended;
    },
  };
}
