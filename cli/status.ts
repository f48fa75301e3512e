import type { CAC } from 'cac';
import type { Live } from '../src/admin/status.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import type { Io } from './io.ts';
import { formatOf, printable, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { ratesOf, type StatusView } from './status-rates.ts';
import { statusLines } from './status-text.ts';
import { type Terminal, terminalOf } from './terminal.ts';

/** Between two samples, ms. */
const everyMs = 1_000;
/** Lines in a pipe, where nobody asked for all. */
const pipeLines = 110;

type Options = CommonOptions & { readonly all?: boolean; readonly once?: boolean };

/** What `oo status` has of its machine: replaced by tests. */
export interface StatusHost {
  /** Undefined: it is shown once. */
  readonly terminal: Terminal | undefined;
  /** Resolves after `ms`, or when `signal` ends it. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** `oo status`. @param hostOf default: this machine */
export function addStatusCommand(program: CAC, io: Io, hostOf: () => StatusHost = () => systemHost(io)): void {
  const status = program
    .command('status', 'What runs now: routes, services and instances, their state, traffic and latencies')
    .example('oo status                # on a terminal live, until q or Ctrl-C')
    .example('oo status --all | less')
    .example("oo status -o json | jq '.pools[] | select(.errorsPerSecond > 0)'")
    .option('--all', 'Once, and all of it')
    .option('--once', 'Once, also on a terminal');
  withRemote(withOutput(status)).action((options: Options) => runStatus(io, options, hostOf()));
}

function systemHost(io: Io): StatusHost {
  return {
    terminal: terminalOf(io.env),
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        signal.addEventListener('abort', done);
      }),
  };
}

async function runStatus(io: Io, options: Options, host: StatusHost): Promise<void> {
  const format = formatOf(options, 'table');
  const { call } = callsOf(io, options as Record<string, unknown>);
  const sample = (): Promise<Live> => call('GET', options.all ? '/v1/live?all=true' : '/v1/live');
  if (format === 'table' && host.terminal !== undefined && !options.all && !options.once)
    return follow(io, sample, host, host.terminal);
  const before = await sample();
  await host.wait(everyMs, new AbortController().signal);
  const view = ratesOf(before, await sample());
  if (format === 'json' || format === 'yaml') return io.out(await structured(view, format));
  if (format === 'name') return io.out(view.pools.map(({ name }) => `${printable(name)}\n`).join(''));
  const columns = Number.POSITIVE_INFINITY;
  const lines = options.all ? Number.POSITIVE_INFINITY : pipeLines;
  io.out(text(statusLines(view, { columns, lines, colors: false })));
}

/** Draws the table over itself once a second until a key ends it. */
async function follow(io: Io, sample: () => Promise<Live>, host: StatusHost, terminal: Terminal): Promise<void> {
  const ended = new AbortController();
  const deaf = terminal.keys((key) => {
    if (key === 'q' || key === 'Q' || key === '\x03' || key === '\x04') ended.abort();
  });
  let drawn = { lines: 0, columns: 0 };
  try {
    for (let before: Live | null = null; !ended.signal.aborted; ) {
      const live: Live = await sample();
      drawn = draw(io, ratesOf(before, live), terminal, drawn);
      before = live;
      await host.wait(everyMs, ended.signal);
    }
  } finally {
    deaf();
  }
}

/** Over what was drawn before; where the window is narrower since, lines have been broken: on a clear screen. */
function draw(io: Io, view: StatusView, terminal: Terminal, before: { lines: number; columns: number }) {
  const { columns, rows } = terminal.size();
  // The last line stays free: writing into it would move all up.
  const hint = 'q ends';
  const lines = statusLines(view, { columns, lines: Math.max(8, rows - 2), colors: terminal.colors });
  const shown = [...lines, hint].slice(0, Math.max(1, rows - 1));
  const start = before.lines === 0 ? '' : columns < before.columns ? '\x1b[2J\x1b[H' : `\x1b[${before.lines}A\r`;
  io.out(`${start}${shown.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
  return { lines: shown.length, columns };
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
