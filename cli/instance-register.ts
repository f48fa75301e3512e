import type { CAC } from 'cac';
import { parseTarget } from '../src/core/target.ts';
import type { Target } from '../src/core/types.ts';
import { readSettings } from './environment.ts';
import { CliError, usageError } from './failure.ts';
import type { Io } from './io.ts';
import { type Kept, keepRegistered } from './keep-registered.ts';
import { addRegistrationFlags, type RegistrationOptions, registrationOf } from './registration.ts';
import { callsOf, withRemote } from './remote.ts';
import { accepts, type Running, runCommand } from './run-command.ts';
import { setting } from './setting.ts';
import * as values from './values.ts';

/** How long an instance lives without a heartbeat, where nothing is said, s: one that dies is out sooner than by the server's own default. */
const defaultTtlSeconds = 30;
/** The longest silence of the server at a heartbeat, ms. */
const silenceMs = 5_000;

const waitSettings = {
  startMs: setting({
    flag: 'start-timeout',
    value: 'TIME',
    variables: [],
    fallback: 60_000,
    shown: '1m',
    description: 'With a command: how long it may take to accept connections',
    parse: values.duration(1),
  }),
  drainMs: setting({
    flag: 'drain',
    value: 'TIME',
    variables: [],
    fallback: 1_000,
    shown: '1s',
    description: 'With a command: time for running requests, between deregistering and the signal',
    parse: values.duration(0),
  }),
};

/** `oo instance register`. */
export function addInstanceRegister(program: CAC, io: Io): void {
  const register = program
    .command(
      'instance register [...command]',
      'Register an instance, keep its heartbeat until a signal, then deregister it',
    )
    .example('oo instance register --slug user-svc --url http://127.0.0.1:3000')
    .example('oo instance register --slug user-svc --url http://127.0.0.1:3000 -- node server.js')
    .example('OO_TOKEN=oo_… oo instance register --url http://10.0.0.2:3000 --server http://10.0.0.1:11337');
  addRegistrationFlags(register);
  for (const { flag, value, description, shown } of Object.values(waitSettings))
    register.option(`--${flag} <${value}>`, `${description} (default: ${shown})`);
  withRemote(register).action((command: string[], options: RegistrationOptions) =>
    registerInstance(io, command, options),
  );
}

/** @returns the exit code */
async function registerInstance(io: Io, command: readonly string[], options: RegistrationOptions): Promise<number> {
  const { startMs, drainMs } = readSettings(waitSettings, options, io.env);
  const { call, isLocal } = callsOf(io, options, { silenceMs });
  const given = registrationOf(options)?.fields ?? {};
  if (isLocal && given.slug === undefined)
    throw usageError('--slug is missing.', 'Say whose instance it is: --slug user-svc.');
  const target = targetOf(given.url);
  const fields = { ttlSeconds: defaultTtlSeconds, ...given };
  const say = (line: string) => io.err(`oo: ${line}\n`);
  const keep = () => keepRegistered({ call, fields, beatMs: ((fields.ttlSeconds as number) * 1_000) / 3, say });
  const signals = hearSignals();
  try {
    if (command.length === 0) return await keepAlone(keep(), signals);
    return await keepBeside(runCommand(command), { keep, signals, target, startMs, drainMs, say });
  } finally {
    signals.end();
  }
}

function targetOf(url: unknown): Target {
  if (url === undefined) throw usageError('--url is missing.', 'Say where it answers: --url http://127.0.0.1:3000.');
  const target = parseTarget(String(url));
  if (typeof target === 'string') throw usageError(`--url '${String(url).replace(/\p{C}/gu, '?')}' ${target}.`);
  return target;
}

async function keepAlone(kept: Kept, signals: Signals): Promise<number> {
  await Promise.race([signals.first, kept.refused]);
  await kept.leave();
  return 0;
}

interface Beside {
  readonly keep: () => Kept;
  readonly signals: Signals;
  readonly target: Target;
  readonly startMs: number;
  readonly drainMs: number;
  readonly say: (line: string) => void;
}

/** Registered while the command runs and listens. Its exit code is ours. */
async function keepBeside(command: Running, { keep, signals, target, startMs, drainMs, say }: Beside): Promise<number> {
  const first = signals.first.then(() => 'signal' as const);
  const ended = command.ended.then(() => 'ended' as const);
  const ready = accepts(target.hostname, target.port, startMs, () => command.hasEnded || signals.isHeard);
  const started = await Promise.race([first, ended, ready.then((is) => (is ? 'ready' : 'late'))]);
  if (started === 'signal') return passOn(command, signals);
  if (command.hasEnded) {
    say(`the command ended before ${target.authority} accepted connections; nothing was registered`);
    return command.ended;
  }
  if (started !== 'ready') {
    await command.stop();
    const hint = 'Does it listen on the port of --url? A slow one is waited for with --start-timeout 5m.';
    throw new CliError(
      `${target.authority} accepted no connection within ${startMs / 1_000} s; the command was stopped.`,
      { hint },
    );
  }
  const kept = keep();
  try {
    const why = await Promise.race([first, ended, kept.refused]);
    await kept.leave();
    // First out of the pool, then the end: a request that is sent there meanwhile is still answered.
    if (why === 'signal') await Promise.race([signals.after(drainMs), ended]);
  } catch (error) {
    await command.stop();
    throw error;
  }
  return passOn(command, signals);
}

/** The command gets the first signal, and each that comes from now on. */
function passOn(command: Running, signals: Signals): Promise<number> {
  signals.each((signal) => command.signal(signal));
  return command.ended;
}

interface Signals {
  readonly isHeard: boolean;
  readonly first: Promise<void>;
  /** Calls back with the first, if it has come, and with those that will come. */
  each(listener: (signal: NodeJS.Signals) => void): void;
  /** Resolves after so many ms, or at the second signal. */
  after(ms: number): Promise<void>;
  end(): void;
}

function hearSignals(): Signals {
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const heard: NodeJS.Signals[] = [];
  const listeners = new Set<(signal: NodeJS.Signals) => void>();
  const onSignal = (signal: NodeJS.Signals) => {
    heard.push(signal);
    for (const listener of listeners) listener(signal);
  };
  for (const name of names) process.on(name, onSignal);
  return {
    get isHeard() {
      return heard.length > 0;
    },
    first: new Promise((resolve) => listeners.add(() => resolve())),
    each(listener) {
      // A second one has only hurried: many programs end hard at their own second one.
      if (heard.length > 0) listener(heard[0]);
      listeners.add(listener);
    },
    after: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        listeners.add(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
    end() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
