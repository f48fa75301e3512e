import type { CAC, Command } from 'cac';
import type { GateOutcome } from '../src/admin/rollout-types.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { formatOf, printable, second, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import type { RolloutsApi } from './rollouts-client.ts';
import { count, duration, showDuration } from './values.ts';

type Options = CommonOptions & Readonly<Record<string, unknown>>;

const text = (given: string) => given;
const time = duration(1);
/** As the API has it. */
const stopTime = duration(1, 366 * 86_400_000);

/** `oo pause`, `oo resume` and `oo stop`. */
export function addPauseCommands(program: CAC, io: Io): void {
  const pause = program
    .command('pause <name>', 'Let the requests of a route or a service wait, until oo resume')
    .example('oo pause web')
    .example('oo pause app.example.com --max-wait 2m --max-waiting 5000   # during a migration')
    .option('--max-wait <TIME>', 'How long a request may wait; then it is answered 503 (default: 30s)')
    .option('--max-waiting <N>', 'How many may wait; further ones are answered 503 at once (default: 1000)');
  finish(pause).action((name: string, options: Options) =>
    run(io, options, (api) =>
      api.pause({
        name,
        maxWaitMs: flagOf(options, 'maxWait', time),
        maxWaiting: flagOf(options, 'maxWaiting', count(0, 100_000)),
        reason: flagOf(options, 'reason', text),
      }),
    ),
  );

  const resume = program
    .command('resume <name>', 'End a pause or a stop: those who wait are served')
    .example('oo resume web');
  finish(resume).action((name: string, options: Options) =>
    run(io, options, (api) => api.resume({ name, reason: flagOf(options, 'reason', text) })),
  );

  const stop = program
    .command('stop <name>', 'Answer the requests of a route or a service with a maintenance page')
    .example("oo stop web --message 'We are moving; back at 14:00.'")
    .example('oo stop app.example.com --for 1h   # opens by itself')
    .option('--message <TEXT>', 'What the page says')
    .option('--for <TIME>', 'When it opens by itself (default: with oo resume)');
  finish(stop).action((name: string, options: Options) =>
    run(io, options, (api) =>
      api.stop({
        name,
        message: flagOf(options, 'message', text),
        forMs: flagOf(options, 'for', stopTime),
        reason: flagOf(options, 'reason', text),
      }),
    ),
  );
}

function finish(command: Command): Command {
  command.option('--reason <TEXT>', 'Why, for the change log');
  return withRemote(withOutput(command));
}

async function run(io: Io, options: Options, work: (api: RolloutsApi) => Promise<GateOutcome>): Promise<void> {
  const format = formatOf(options, 'table');
  const { connectRollouts } = await import('./rollouts-client.ts');
  const outcome = await work(connectRollouts(callsOf(io, options as Record<string, unknown>).call));
  if (format === 'json' || format === 'yaml') return io.out(await structured(outcome, format));
  if (format === 'name') return io.out(`${outcome.name}\n`);
  io.out(`${gateText(outcome)}\n`);
  for (const note of outcome.notes) io.err(`note: ${printable(note)}\n`);
}

/** What is so now, and how it ends. */
export function gateText({ name, gate, changed }: GateOutcome): string {
  if (gate === null) return changed ? `resumed ${name}: its requests are served` : `${name} is open: nothing to resume`;
  if (gate.state === 'paused') {
    const { maxWaiting, maxWaitMs } = gate;
    return `paused ${name}: up to ${maxWaiting} requests wait, each up to ${showDuration(maxWaitMs)}; oo resume ${name} serves them`;
  }
  const end = gate.until > 0 ? `until ${second(new Date(gate.until).toISOString())} UTC, or ` : 'until ';
  return `stopped ${name}: its requests get the maintenance page, ${end}oo resume ${name}`;
}
