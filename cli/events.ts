import type { CAC } from 'cac';
import type { CertificateEvent, ChangeEvent, HealthEvent } from '../src/admin/event-types.ts';
import { type CommonOptions, withOutput } from './certs-common.ts';
import type { Caller } from './client.ts';
import { CliError, usageError } from './failure.ts';
import { flagOf } from './flag-values.ts';
import type { Io } from './io.ts';
import { day, type Format, formatOf, printable, second, structured } from './output.ts';
import { callsOf, withRemote } from './remote.ts';
import { count } from './values.ts';

type Options = CommonOptions & Readonly<Record<string, unknown>>;

/** An event as `GET /v1/events?format=ndjson` has it. */
type Told = { readonly id: string; readonly at: string } & (
  | { readonly kind: 'change'; readonly data: ChangeEvent }
  | { readonly kind: 'health'; readonly data: HealthEvent }
  | { readonly kind: 'certificate'; readonly data: CertificateEvent }
);

const kinds = ['change', 'health', 'certificate'];
/** The server says something every 15 s, ms. */
const silenceMs = 45_000;
const retryMs = { first: 500, most: 10_000 };
/** Changes that a line names. */
const shownChanges = 5;

/** `oo events`. */
export function addEventsCommand(program: CAC, io: Io): void {
  const events = program
    .command('events', 'Follow what happens: changes, health, certificates; Ctrl-C ends it')
    .example('oo events')
    .example('oo events --kind health --kind certificate')
    .example('oo events -o json                  # a line of JSON for each')
    .example('oo events --kind certificate -n 1  # waits for one')
    .option('--kind <KIND>', `Only these, repeatable: ${kinds.join(', ')}`)
    .option('-n, --number <N>', 'End after so many');
  withRemote(withOutput(events)).action((options: Options) => runEvents(io, options));
}

async function runEvents(io: Io, options: Options): Promise<void> {
  const format = formatOf(options, 'table');
  const wanted = options.kind === undefined ? [] : [options.kind].flat().map(String);
  const unknown = wanted.find((kind) => !kinds.includes(kind));
  if (unknown !== undefined)
    throw usageError(`--kind is '${printable(unknown).slice(0, 100)}'; expected one of ${kinds.join(', ')}.`);
  let left = flagOf(options, 'number', count(1, 1_000_000_000)) ?? Number.POSITIVE_INFINITY;
  const { call } = callsOf(io, options, { silenceMs });
  // In their order, whatever a format takes.
  let printed = Promise.resolve();
  await followEvents(call, wanted, {
    onEvent(event) {
      printed = printed.then(async () => io.out(await textOf(event, format)));
      left -= 1;
      return left > 0;
    },
    onBreak: (why) => io.err(`oo: ${printable(why)} Trying again.\n`),
    onAgain: () => io.err('oo: following again.\n'),
  });
  await printed;
}

interface Follower {
  /** @returns false: that was enough */
  readonly onEvent: (event: Told) => boolean;
  readonly onBreak: (why: string) => void;
  readonly onAgain: () => void;
}

/** Follows until it is enough, over broken connections and restarts of the server. @throws CliError where it can't begin, or is refused */
async function followEvents(call: Caller, wanted: readonly string[], { onEvent, onBreak, onAgain }: Follower) {
  let last: string | undefined;
  let enough = false;
  let begun = false;
  let failures = 0;
  while (true) {
    const query = new URLSearchParams([
      ['format', 'ndjson'],
      ...wanted.map((kind) => ['kind', kind]),
      ...(last === undefined ? [] : [['after', last]]),
    ]);
    let why = 'The server has ended it.';
    try {
      const heard = (event: Told) => {
        last = event.id;
        enough = !onEvent(event);
        // The only way out of an answer that has no end.
        if (enough) throw new Error('enough');
      };
      const onAnswer = () => {
        if (failures > 0) onAgain();
        begun = true;
        failures = 0;
      };
      await call('GET', `/v1/events?${query}`, undefined, heard, { onAnswer });
    } catch (error) {
      if (enough) return;
      // With a code it is the server's own refusal, which stays.
      const isRefusal = error instanceof CliError && error.code !== undefined;
      if (!begun || isRefusal) throw error;
      why = (error as Error).message;
    }
    failures += 1;
    if (failures === 1) onBreak(why);
    await new Promise((resolve) => setTimeout(resolve, Math.min(retryMs.first * 2 ** (failures - 1), retryMs.most)));
  }
}

async function textOf(event: Told, format: Format): Promise<string> {
  if (format === 'name') return `${event.id}\n`;
  if (format === 'yaml') return `---\n${await structured(event, 'yaml')}`;
  // JSON.stringify leaves some characters that do something to a terminal.
  if (format === 'json') return `${JSON.stringify(event).replace(/[\p{Cf}\u007f-\u009f\u2028\u2029]/gu, escaped)}\n`;
  return `${second(event.at)}  ${event.kind.padEnd(11)}  ${printable(lineOf(event))}\n`;
}

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

function lineOf(event: Told): string {
  switch (event.kind) {
    case 'change':
      return changeLine(event.data);
    case 'health': {
      const { address, state, before, reason, owners } = event.data;
      return `${address} of ${owners.join(', ')} is ${state}, was ${before}${reason === '' ? '' : `: ${reason}`}`;
    }
    case 'certificate': {
      const { id, change, notAfter, error, nextTryAt } = event.data;
      if (change === 'failed') return `${id} failed: ${error}${nextTryAt ? `; next try ${second(nextTryAt)}` : ''}`;
      return `${id} ${change}${notAfter ? `, good until ${day(notAfter)}` : ''}`;
    }
  }
}

function changeLine({ revision, actor, from, reason, resources, more }: ChangeEvent): string {
  const shown = resources.slice(0, shownChanges).map(({ change, kind, id }) => `${change} ${kind} ${id}`);
  const rest = resources.length - shown.length + more;
  const whence = from === '' || from === 'socket' ? '' : ` from ${from}`;
  const what = [...shown, ...(rest > 0 ? [`${rest} more`] : [])].join(', ');
  return `@${revision} by ${actor}${whence}: ${what}${reason === '' ? '' : ` (${reason})`}`;
}
