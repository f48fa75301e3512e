import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { closeLater } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';

/** The built executable: these tests see it as a user does. */
export const executable = join(import.meta.dirname, '../../dist/oo');

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that this test started, and what it has written. */
export interface Program {
  readonly pid: number;
  out(): string;
  err(): string;
  readonly ended: Promise<Ended>;
  hasEnded(): boolean;
  /** Its process id and those of its descendants, as far as they live. */
  tree(): number[];
  signal(name: NodeJS.Signals): void;
  /** SIGTERM; resolves with how it ended. SIGKILL to the whole tree after `ms`. */
  stop(ms?: number): Promise<Ended>;
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** A command and its arguments that run the program in its place: `setpriv …`. It must become the program (exec). */
  readonly through?: readonly string[];
  /** Standard input; nothing by default. */
  readonly input?: string;
  /** Default: dist/oo. */
  readonly program?: string;
}

const running = new Set<Program>();
process.on('exit', () => {
  for (const program of running) killAll(program.tree());
});

/** Starts `oo` with these arguments. Nothing of this process's own OO_ variables reaches it. `cleanUp` ends it at the latest. */
export function start(args: readonly string[], options: StartOptions = {}): Program {
  const [command, ...rest] = [...(options.through ?? []), options.program ?? executable, ...args];
  const child: ChildProcess = spawn(command, rest, {
    cwd: options.cwd,
    env: { ...bareEnvironment(), ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  // One that ends without reading it is no fault of the test.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  let out = '';
  let err = '';
  let over = false;
  child.stdout?.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text) => (err += text));
  child.on('error', (error) => (err += error.message));
  const ended = new Promise<Ended>((resolve) => {
    // Not 'close': workers that outlive their main process hold its pipes open.
    child.on('exit', (code, signal) => {
      over = true;
      setImmediate(() => resolve({ code, signal }));
    });
  });
  const pid = child.pid ?? -1;
  const program: Program = {
    pid,
    out: () => out,
    err: () => err,
    ended,
    hasEnded: () => over,
    tree: () => (over ? [] : tree(pid)),
    signal: (name) => void child.kill(name),
    async stop(ms = 10_000) {
      const all = program.tree();
      child.kill('SIGTERM');
      try {
        return await within(ended, `the end of oo after SIGTERM; it wrote ${err}`, ms);
      } catch (error) {
        killAll([...all, ...program.tree()]);
        throw error;
      }
    },
  };
  running.add(program);
  void ended.then(() => running.delete(program));
  closeLater({ close: () => killAll(program.tree()) });
  return program;
}

export interface Ran extends Ended {
  readonly out: string;
  readonly err: string;
}

/** Runs `oo` with these arguments to its end. */
export async function run(args: readonly string[], options: StartOptions = {}, ms = 30_000): Promise<Ran> {
  const program = start(args, options);
  try {
    const how = await within(program.ended, `the end of oo ${args.join(' ')}`, ms);
    // The pipes may hold more than the end has brought.
    await sleep(5);
    return { ...how, out: program.out(), err: program.err() };
  } catch (error) {
    killAll(program.tree());
    throw error;
  }
}

/** A running `oo serve`. */
export interface Server extends Program {
  readonly port: number;
  /** Where nothing listens in test mode. */
  readonly httpsPort: number;
  readonly adminPort: number;
  readonly stateDir: string;
  /** Process ids of the data workers that live. */
  workers(): number[];
  /** Runs `oo` on this server's state directory. */
  cli(...args: string[]): Promise<Ran>;
  /** The same, and fails unless it ends with 0. */
  ok(...args: string[]): Promise<Ran>;
}

export interface ServeOptions extends StartOptions {
  readonly stateDir?: string;
  readonly port?: number;
  /** With HTTPS on this port; default: in test mode. */
  readonly httpsPort?: number;
  readonly adminPort?: number;
  readonly flags?: readonly string[];
}

/** Starts `oo serve`, in test mode unless it gets an HTTPS port, on free ports and a new state directory; waits until it listens. */
export async function serve(options: ServeOptions = {}): Promise<Server> {
  const stateDir = options.stateDir ?? temporary();
  const port = options.port ?? (await freePort());
  const adminPort = options.adminPort ?? (await freePort());
  const ports = ['--http-port', `${port}`, '--admin-port', `${adminPort}`];
  const https = options.httpsPort === undefined ? ['--test-mode'] : ['--https-port', `${options.httpsPort}`];
  const args = ['serve', ...https, '--state-dir', stateDir, ...ports, ...(options.flags ?? [])];
  const program = start(args, options);
  const listens = () => program.hasEnded() || program.err().includes('oo listens on port');
  await until(listens, 'the greeting of oo serve', 20_000).catch((error) => {
    throw new Error(`${error.message}; it has the processes ${program.tree()} and wrote: ${program.err()}`);
  });
  if (program.hasEnded()) throw new Error(`oo serve ended: ${program.err()}`);
  const cli = (...words: string[]) => run([...words, '--state-dir', stateDir]);
  return {
    ...program,
    port,
    httpsPort: options.httpsPort ?? 0,
    adminPort,
    stateDir,
    workers: () => program.tree().slice(1),
    cli,
    async ok(...words) {
      const ran = await cli(...words);
      if (ran.code !== 0) throw new Error(`oo ${words.join(' ')} ended with ${ran.code}: ${ran.err}`);
      return ran;
    },
  };
}

/** Runs `test` with a server, which must then stop with exit code 0 and leave no process. */
export async function withServer(test: (server: Server) => Promise<void>, options: ServeOptions = {}): Promise<void> {
  const server = await serve(options);
  try {
    await test(server);
  } catch (error) {
    killAll(server.tree());
    throw error;
  }
  const all = server.tree();
  const { code } = await server.stop();
  if (code !== 0) throw new Error(`oo serve ended with ${code}: ${server.err()}`);
  await until(() => all.every((pid) => !lives(pid)), 'the end of every process', 2_000);
}

/** An environment without what a developer's shell says to oo. */
function bareEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OO_|OB_|XDG_)/.test(name));
  return Object.fromEntries(kept);
}

/** A process and all that descend from it, itself first. */
export function tree(pid: number): number[] {
  const found = [pid];
  for (const parent of found) {
    try {
      const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
      found.push(...children.split(' ').filter(Boolean).map(Number));
    } catch {
      // It has ended.
    }
  }
  return found.filter(lives);
}

/** Whether a process is there and no zombie. */
export function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
  } catch {
    return false;
  }
}

export function killAll(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended.
    }
  }
}

let nextPort = 10_000 + Math.floor(Math.random() * 20_000);

/** A port that nobody listens on, below those that the system gives to outgoing connections. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    nextPort = nextPort >= 32_000 ? 10_000 : nextPort + 1;
    const port = nextPort;
    if (await isFree(port)) return port;
  }
  throw new Error('no free port');
}

/** Whether it can be bound on all addresses. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export interface Page {
  readonly status: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

export interface GetOptions {
  readonly host?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: import('node:http').Agent | false;
  readonly method?: string;
  readonly body?: string;
  readonly ms?: number;
}

/** One request to 127.0.0.1, over a connection of its own unless an agent says otherwise. */
export function get(port: number, path = '/', options: GetOptions = {}): Promise<Page> {
  const { host = 'localhost', headers = {}, agent = false, method = 'GET', body, ms = 5_000 } = options;
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path, method, agent, headers: { host, ...headers } });
    asked.setTimeout(ms, () => asked.destroy(new Error(`no answer within ${ms} ms`)));
    asked.on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    asked.end(body);
  });
}
