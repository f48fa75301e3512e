import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A user as whom a command is run. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

/** The machine, as `oo trust` sees it: replaced by tests. */
export interface TrustHost {
  /** What stands before every absolute path: '' but in tests. */
  readonly root: string;
  readonly platform: NodeJS.Platform;
  /** Whose browsers are meant; under sudo, those of the user that called it. */
  readonly home: string;
  /** Set under sudo: browsers' databases stay that user's. */
  readonly user: RunAs | undefined;
  /** Whether this command is to be had. */
  has(command: string): boolean;
  /** Runs a command to its end. Never rejects. */
  run(command: string, args: readonly string[], user?: RunAs, input?: string): Promise<Ran>;
}

/** No command that is run here takes longer than this, ms. */
const limitMs = 60_000;

/** Where root's commands are, which a user's PATH lacks on Debian. */
const sbin = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The machine itself. */
export function systemHost(env: Readonly<Record<string, string | undefined>>): TrustHost {
  const path = [...(env.PATH ?? '/usr/bin:/bin').split(delimiter), ...sbin].filter((dir) => dir.startsWith('/'));
  const caller = process.getuid?.() === 0 ? sudoUser(env) : undefined;
  return {
    root: '',
    platform: process.platform,
    home: caller?.home ?? (env.HOME || homedir()),
    user: caller,
    has: (command) => path.some((dir) => existsSync(join(dir, command))),
    run: (command, args, user, input = '') =>
      run(command, args, user, input, { ...env, PATH: path.join(delimiter), LC_ALL: 'C' }),
  };
}

function sudoUser(env: Readonly<Record<string, string | undefined>>): (RunAs & { home: string }) | undefined {
  const uid = Number(env.SUDO_UID);
  const gid = Number(env.SUDO_GID);
  if (!env.SUDO_UID || !env.SUDO_GID || !Number.isInteger(uid) || !Number.isInteger(gid) || uid === 0) return undefined;
  const home = homeOf(uid);
  return home === undefined ? undefined : { uid, gid, home };
}

function homeOf(uid: number): string | undefined {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((one) => one.split(':')[2] === String(uid));
    return line?.split(':')[5] || undefined;
  } catch {
    return undefined;
  }
}

function run(
  command: string,
  args: readonly string[],
  user: RunAs | undefined,
  input: string,
  env: Record<string, string | undefined>,
): Promise<Ran> {
  return new Promise((resolve) => {
    const who = user && { uid: user.uid, gid: user.gid };
    const child = spawn(command, args, { env, ...who, timeout: limitMs });
    // Who reads nothing may be gone before it is written.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (err += chunk));
    child.on('error', (error) => resolve({ code: 127, out, err: error.message }));
    child.on('close', (code, signal) =>
      resolve({ code: code ?? 1, out, err: signal ? `${err}ended by ${signal}` : err }),
    );
  });
}
