import type { CAC, Command } from 'cac';
import type { LeftOver, RolloutOutcome, RolloutStep } from '../src/admin/rollout-types.ts';
import type { TargetSpec } from '../src/core/pool-types.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import { usageError } from './failure.ts';
import { flagOf, flagsOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { type Format, formatOf, printable, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { count, duration } from './values.ts';

type Options = CommonOptions & Readonly<Record<string, unknown>> & { readonly reason?: string };

const text = (given: string) => given;
const time = duration(0);

/** `oo deploy`; `oo rollback` is rollback-command.ts. */
export function addDeployCommands(program: CAC, io: Io): void {
  const deploy = program
    .command('deploy <name>', 'Lead a route or a service to a new target, without a failed request')
    .example(
      'oo deploy web --target http://127.0.0.1:3001                # when it is healthy; then the old one drains',
    )
    .example('oo deploy web --target 127.0.0.1:3001 --host app.example.com  # and put it on the air')
    .example('oo deploy app.example.com --target http://127.0.0.1:3001    # a name with a dot is a route')
    .example('oo deploy web --target http://127.0.0.1:3001 --percent 10   # a canary; without --percent it gets all')
    .option('--target <URL>', 'Where its requests shall go; may be given several times')
    .option('--percent <N>', 'A canary: only this part of the requests goes there, 0 to 100')
    .option('--header <NAME=VALUE>', 'A canary: only requests with this header go there')
    .option('--host <HOST>', 'A route that leads to the service: it is made; may be given several times')
    .option(
      '--health <PATH>',
      "The path that must answer 200 to 399. Default: the pool's check, else any answer below 500 to /",
    );
  withTimes(deploy, '30s').action((name: string, options: Options) => runDeploy(io, name, options));
}

/** Adds the flags of a command that waits for health. @param deadline its default */
export function withTimes(command: Command, deadline: string): Command {
  command.option('--deadline <TIME>', `How long it may take to be healthy (default: ${deadline})`);
  command.option('--drain <TIME>', 'How long the old ones are watched; nothing is cut (default: 30s)');
  command.option('--force', 'Do not check it');
  command.option('--reason <TEXT>', 'Why, for the change log');
  return withRemote(withOutput(command));
}

function timesOf(options: Options) {
  return {
    deadlineMs: flagOf(options, 'deadline', time),
    drainMs: flagOf(options, 'drain', time),
    force: options.force === true ? true : undefined,
    reason: flagOf(options, 'reason', text),
  };
}

async function runDeploy(io: Io, name: string, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const request = {
    name,
    targets: flagsOf(options, 'target'),
    percent: flagOf(options, 'percent', percent),
    header: flagOf(options, 'header', text),
    hosts: flagsOf(options, 'host'),
    health: flagOf(options, 'health', text),
    ...timesOf(options),
  };
  if (request.targets.length === 0 && request.percent === undefined && request.header === undefined)
    throw usageError('--target is missing.', `For example: oo deploy ${name} --target http://127.0.0.1:3001`);
  const { connectRollouts } = await import('./rollouts-client.ts');
  const outcome = await connectRollouts(callsOf(io, options as Record<string, unknown>).call).deploy(
    request,
    shown(io, format),
  );
  await tell(io, format, outcome, outcome.changed || outcome.hosts.length > 0 ? 'deployed' : 'unchanged');
}

/** Takes a canary away, or goes back to the target before the last deploy. */
export async function runRollback(io: Io, name: string, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const { connectRollouts } = await import('./rollouts-client.ts');
  const request = { name, ...timesOf(options) };
  const outcome = await connectRollouts(callsOf(io, options as Record<string, unknown>).call).rollback(
    request,
    shown(io, format),
  );
  await tell(io, format, outcome, 'rolled back');
}

/** With a sign as people write it: `10%`. */
function percent(given: string): number {
  return count(0, 100)(given.replace(/%$/, ''));
}

function shown(io: Io, format: Format): (step: RolloutStep) => void {
  return (step) => {
    if (format === 'table') io.err(`${printable(stepText(step))}\n`);
  };
}

/** One line of what happens. */
export function stepText({ step, target, detail }: RolloutStep): string {
  if (step === 'check') return `checking ${target}: ${detail}`;
  if (step === 'waiting') return `not yet: ${target}: ${detail}`;
  if (step === 'healthy') return `healthy: ${target}, ${detail}`;
  if (step === 'drain') return `draining ${target}: ${detail}`;
  return step === 'note' ? `note: ${detail}` : detail;
}

async function tell(io: Io, format: Format, outcome: RolloutOutcome, word: string): Promise<void> {
  if (format === 'json' || format === 'yaml') return io.out(await structured(outcome, format));
  if (format === 'name') return io.out(`${outcome.name}\n`);
  io.out(
    outcomeText(outcome, word)
      .map((line) => `${printable(line)}\n`)
      .join(''),
  );
}

/** What is so now, what of the old ones, and what to do next. */
export function outcomeText(outcome: RolloutOutcome, word: string): string[] {
  const { name, target, canary, hosts, drained, left, shared } = outcome;
  const lines = [`${word} ${name}: ${target === null ? 'its registered instances' : urls(target)}`];
  if (canary !== null) {
    const parts = [canary.percent ? `${canary.percent}%` : '', canary.header ? `requests with ${canary.header}` : ''];
    lines.push(`canary: ${parts.filter((part) => part !== '').join(' and ')} to ${urls(canary.target)}`);
    lines.push(
      `oo deploy ${name} --target ${urls(canary.target, ' --target ')} gives it all, oo rollback ${name} takes it away`,
    );
  }
  if (hosts.length > 0) lines.push(`made the route${hosts.length > 1 ? 's' : ''} ${hosts.join(', ')}`);
  if (drained.length > 0) lines.push(`nothing runs any more on ${drained.join(', ')}: it can be stopped`);
  lines.push(...left.map(leftText));
  if (shared.length > 0) lines.push(`${shared.join(', ')}: others lead there as well, so do not stop it`);
  return lines;
}

function leftText({ target, inFlight }: LeftOver): string {
  const still = inFlight === 1 ? '1 request or connection runs' : `${inFlight} requests or connections run`;
  return `${still} on ${target} still (WebSockets, event streams, downloads); nothing is cut: stop it when you will`;
}

function urls(spec: TargetSpec, between = ', '): string {
  if (typeof spec === 'string') return spec;
  return spec.map((one) => (typeof one === 'string' ? one : one.url)).join(between);
}
