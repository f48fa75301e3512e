import { spawn } from 'node:child_process';
import { oneLine } from './problem.ts';

/** What a DNS-01 hook is told. */
export interface DnsRecord {
  /** The name to be proven, without `*.`: `example.com`. */
  readonly domain: string;
  readonly token: string;
  /** What the TXT record at `_acme-challenge.DOMAIN` must hold. */
  readonly value: string;
}

/** The hook failed: `message` says how, with the end of what it wrote. */
export class DnsHookError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.hint = hint;
  }
}

const maxOutput = 64 * 1024;
const shownOutput = 400;
const killGraceMs = 2_000;

/**
 * Runs `FILE present|cleanup _acme-challenge.DOMAIN TOKEN VALUE`, with the same in the environment as OO_DNS_ACTION, OO_DNS_DOMAIN
 * (`example.com`), OO_DNS_NAME (`_acme-challenge.example.com`), OO_DNS_TOKEN and OO_DNS_VALUE.
 *
 * `present` adds a TXT record with the value beside others of that name (a wildcard and its domain have two at once), waits until all
 * of the domain's name servers have it, and exits with 0. `cleanup` takes that value out again; it runs after each `present`, be
 * that one done or not. Anything but exit code 0 counts as failed, as does running for too long; what it writes is shown then.
 * @throws DnsHookError, or the signal's reason when that aborts
 */
export async function runDnsHook(
  file: string,
  action: 'present' | 'cleanup',
  { domain, token, value }: DnsRecord,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<void> {
  signal?.throwIfAborted();
  const name = `_acme-challenge.${domain}`;
  const variables = { ACTION: action, DOMAIN: domain, NAME: name, TOKEN: token, VALUE: value };
  const env = {
    ...harmless(process.env),
    ...Object.fromEntries(Object.entries(variables).map(([key, text]) => [`OO_DNS_${key}`, text])),
  };
  // A process group of its own, so that what it starts ends with it.
  const child = spawn(file, [action, name, token, value], { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-maxOutput);
    });
  const what = `the DNS hook ${file} ${action} ${name}`;
  let late = false;
  let grace: NodeJS.Timeout | undefined;
  const end = () => {
    kill(child.pid, 'SIGTERM');
    grace = setTimeout(() => {
      kill(child.pid, 'SIGKILL');
      // Whoever has left the group may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, killGraceMs);
  };
  const timer = setTimeout(() => {
    late = true;
    end();
  }, timeoutMs);
  signal?.addEventListener('abort', end);
  try {
    const [code, killed] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.on('error', (error) => reject(new DnsHookError(`${what} cannot be run: ${error.message}`, runHint, error)));
      child.on('close', (...result) => resolve(result));
    });
    if (signal?.aborted) throw signal.reason;
    const said = oneLine(output.slice(-shownOutput));
    const saying = said === '' ? 'it wrote nothing' : `it wrote: ${said}`;
    if (late) throw new DnsHookError(`${what} did not end within ${timeoutMs / 1000} s; ${saying}`, failHint);
    if (code !== 0) throw new DnsHookError(`${what} failed (${killed ?? `exit code ${code}`}); ${saying}`, failHint);
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    signal?.removeEventListener('abort', end);
  }
}

const runHint = 'Give --acme-dns-hook a file that can be executed: chmod +x, and a first line such as #!/bin/sh';
const failHint = 'Run the hook by hand with the same arguments; it must exit with 0 when the record can be seen';

/** The hook has no business with oo's own secrets. */
function harmless(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(?:OO|OB)_.*(?:KEY|TOKEN|PASSWORD|DB)/.test(name)),
  );
}

function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}
