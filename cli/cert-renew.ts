import type { CAC } from 'cac';
import type { CheckLine, RenewalOutcome, RenewalStep } from '../src/admin/certs.ts';
import { caOf, stepText, when } from './cert-text.ts';
import { type CommonOptions, idOf, withOutput } from './certs-common.ts';
import { CliError } from './failure.ts';
import type { Io } from './io.ts';
import { formatOf, minute, printable, sentence, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';

type RenewOptions = CommonOptions & { readonly wait?: boolean };

/** `oo cert renew` and `oo cert check`: what only a running server can do. */
export function addCertAttempts(program: CAC, io: Io): void {
  const renew = program
    .command('cert renew <name>', 'Get a certificate anew now, whatever was planned; shows each step')
    .example('oo cert renew app.example.com')
    .example('oo cert renew app.example.com --no-wait')
    .option('--wait', 'Wait for the outcome: so it is by default')
    .option('--no-wait', 'Return when it has begun');
  withRemote(withOutput(renew)).action((name: string, options: RenewOptions) => renewCert(io, name, options));

  const check = program
    .command('cert check <host>', 'Look at what a CA will look at: route, DNS, port 80, CAA, rate limits')
    .example('oo cert check app.example.com');
  withRemote(withOutput(check)).action((host: string, options: CommonOptions) => checkCert(io, host, options));
}

async function renewCert(io: Io, name: string, options: RenewOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const id = idOf(name);
  const { call } = callsOf(io, options as Record<string, unknown>);
  const { beginRenewal, connectCertificates } = await import('./certs-client.ts');
  if (options.wait === false) {
    await beginRenewal(call, id);
    return io.out(format === 'name' ? `${id}\n` : await begun(id, format));
  }
  const show = (step: RenewalStep) => {
    if (format === 'table') io.err(`${stepText(step.step)}${step.detail ? `: ${printable(step.detail)}` : ''}\n`);
  };
  const { done } = await connectCertificates(call).renew(id, show);
  const outcome = await done;
  if (format === 'json' || format === 'yaml') io.out(await structured(outcome, format));
  if ('failure' in outcome) throw failed(id, outcome);
  if (format === 'name') io.out(`${id}\n`);
  const { notAfter, issuer } = outcome.certificate;
  if (format === 'table')
    io.out(`renewed ${id}: issued by ${printable(issuer ?? '?')}, valid until ${notAfter ? minute(notAfter) : '?'}\n`);
}

async function begun(id: string, format: 'table' | 'json' | 'yaml'): Promise<string> {
  if (format !== 'table') return structured({ id }, format);
  return `begun ${id}: oo cert get ${id} shows how it goes\n`;
}

function failed(id: string, outcome: Extract<RenewalOutcome, { failure: unknown }>): CliError {
  const { failure, nextTryAt } = outcome;
  const ca = failure.directory ? ` at ${caOf(failure.directory)}` : '';
  const problem = failure.problem ? ` (${failure.problem})` : '';
  const next = nextTryAt ? `oo tries again ${when(nextTryAt, Date.now())}.` : 'No other attempt is planned.';
  const message = `${id} failed at ${stepText(failure.step)}${printable(ca)}: ${failure.message}${problem}`;
  return new CliError(printable(message), { hint: printable(`${sentence(failure.hint)} ${next}`.trim()) });
}

async function checkCert(io: Io, host: string, options: CommonOptions): Promise<void> {
  const format = formatOf(options, 'table');
  const id = idOf(host);
  const { connectCertificates } = await import('./certs-client.ts');
  const lines = await connectCertificates(callsOf(io, options as Record<string, unknown>).call).check(id);
  const bad = lines.filter(({ ok }) => !ok);
  if (format === 'json' || format === 'yaml') io.out(await structured(lines, format));
  else if (format === 'name') io.out(bad.map(({ what }) => `${printable(what)}\n`).join(''));
  else io.out(checkText(lines));
  if (bad.length === 0) return;
  const found = bad.length === 1 ? 'One thing stands' : `${bad.length} things stand`;
  throw new CliError(`${found} in the way of a certificate for ${id}.`, {
    hint: `Mend what is not ok, then run: oo cert renew ${id}`,
  });
}

/** A line for each: `ok`, or what is wrong and how to mend it. */
export function checkText(lines: readonly CheckLine[]): string {
  const width = Math.max(0, ...lines.map(({ what }) => what.length));
  return lines
    .map(({ what, ok, message, hint }) => {
      const mend = hint ? ` ${hint}` : '';
      return `${ok ? 'ok ' : 'NOT'}  ${printable(what).padEnd(width)}  ${printable(message + mend)}\n`;
    })
    .join('');
}
