import type { Command } from 'cac';
import type { PoolOptions, TargetSpec, WeightedTarget } from '../src/core/pool-types.ts';
import { usageError } from './failure.ts';
import { count, duration } from './values.ts';

/** A flag of one option of a pool; what is rarely set is for files. */
interface PoolFlag {
  readonly flag: string;
  readonly value?: string;
  readonly description: string;
  /** The option and its field: `balance.policy`. */
  readonly path: string;
  /** Throws a RangeError whose message is what was expected. */
  readonly parse: (text: string) => unknown;
}

const text = (given: string) => given;
const most = 1_000_000;
/** Also plain milliseconds, as files have them; here 0 may mean none. */
const time = (given: string) => (/^\d{1,10}$/.test(given) ? Number(given) : duration(0)(given));

const flags: readonly PoolFlag[] = [
  {
    flag: 'balance',
    value: 'POLICY',
    description: 'power-of-two (default), least-requests, round-robin, random or hash',
    path: 'balance.policy',
    parse: text,
  },
  {
    flag: 'hash-by',
    value: 'ip|header:NAME|cookie:NAME',
    description: 'With --balance hash: whose value decides',
    path: 'balance.by',
    parse: text,
  },
  {
    flag: 'sticky',
    value: 'true|NAME',
    description: 'A cookie keeps a client with its instance: oo_sticky, or one of this name',
    path: 'balance.sticky',
    parse: (given) => (given === 'true' ? true : given === 'false' ? false : given),
  },
  {
    flag: 'slow-start',
    value: 'TIME',
    description: 'How long the share of an instance that came up grows',
    path: 'balance.slowStartMs',
    parse: time,
  },
  {
    flag: 'health',
    value: '/PATH|tcp|grpc|off',
    description: 'Probe the targets: by HTTP, by a connection, by grpc.health.v1',
    path: 'health',
    parse: (given) => (given === 'off' || given === 'false' ? false : given),
  },
  {
    flag: 'health-interval',
    value: 'TIME',
    description: 'From one probe to the next',
    path: 'health.intervalMs',
    parse: time,
  },
  {
    flag: 'health-timeout',
    value: 'TIME',
    description: 'For a whole probe',
    path: 'health.timeoutMs',
    parse: time,
  },
  {
    flag: 'no-outlier',
    description: 'Eject no instance for what real requests meet',
    path: 'outlier',
    parse: () => false,
  },
  {
    flag: 'breaker',
    description: 'Spare an instance that fails all requests, but a few that try it',
    path: 'breaker',
    parse: () => true,
  },
  {
    flag: 'max-connections',
    value: 'N',
    description: 'Requests that an instance serves at one time',
    path: 'limits.maxConnections',
    parse: count(1, most),
  },
  {
    flag: 'max-waiting',
    value: 'N',
    description: 'Requests that may wait for it',
    path: 'limits.maxWaiting',
    parse: count(0, most),
  },
  {
    flag: 'max-wait',
    value: 'TIME',
    description: 'How long each of them may',
    path: 'limits.maxWaitMs',
    parse: time,
  },
  {
    flag: 'tries',
    value: 'N',
    description: 'Attempts for one request, 1 for no retry',
    path: 'retry.tries',
    parse: count(1, 10),
  },
  {
    flag: 'try-timeout',
    value: 'TIME',
    description: 'For the answer to each attempt to begin',
    path: 'retry.tryTimeoutMs',
    parse: time,
  },
];

/** Adds the flags of a pool's options. */
export function addPoolFlags(command: Command): void {
  for (const { flag, value, description } of flags)
    command.option(`--${flag}${value ? ` <${value}>` : ''}`, description);
}

/**
 * The options of a pool that the flags make.
 * @param options as cac gives them
 * @param parsed reads one flag's text by its rule
 * @returns empty where none is given
 */
export function poolOptionsOfFlags(
  options: Readonly<Record<string, unknown>>,
  parsed: (flag: string, parse: (text: string) => unknown, given: unknown) => unknown,
): PoolOptions {
  const made: Record<string, Record<string, unknown> | unknown> = {};
  for (const { flag, path, parse } of flags) {
    const given = givenOf(options, flag);
    if (given === undefined) continue;
    const [option, field] = path.split('.');
    const value = parsed(flag, parse, given);
    if (field === undefined) made[option] = value;
    else if (option === 'health') made.health = { ...checkOf(made.health), [field]: value };
    else made[option] = { ...(made[option] as object | undefined), [field]: value };
  }
  // A policy alone is written as files do: `balance: round-robin`.
  const { policy, ...rest } = (made.balance ?? {}) as Record<string, unknown>;
  if (policy !== undefined && Object.keys(rest).length === 0) made.balance = policy;
  return made as PoolOptions;
}

/** What `--health` said, as a mapping that more can be added to. */
function checkOf(health: unknown): object {
  if (health === false)
    throw usageError('--health off has no times.', 'Leave --health-interval and --health-timeout out.');
  if (typeof health !== 'string') return (health as object | undefined) ?? {};
  return health.startsWith('/') ? { path: health } : { kind: health };
}

// cac says true for a switch with `no-` that is not given.
function givenOf(options: Readonly<Record<string, unknown>>, flag: string): unknown {
  const name = flag.replace(/^no-/, '').replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
  const given = options[name];
  return flag.startsWith('no-') ? (given === false ? true : undefined) : given;
}

/** The flag that a fault of a pool's options is about. @param message begins with the option's path */
export function poolFlagOf(field: string, message: string): string | undefined {
  const path = /^[a-zA-Z.]+/.exec(message)?.[0];
  return (flags.find((one) => one.path === path) ?? flags.find((one) => one.path.split('.')[0] === field))?.flag;
}

const targetForm = 'an address, perhaps with weight and priority, such as "http://10.0.0.2:3000 weight=3"';

/**
 * The target that one or more `--target` make. As an address has no blanks, what follows one is said of it: `"http://10.0.0.2:3000 weight=3 priority=1"`,
 * in the words of files. (`URL=3` would be an address too: paths may end so.)
 * @throws CliError, exit code 2
 */
export function targetOfFlags(given: unknown): TargetSpec {
  const list = (Array.isArray(given) ? given : [given]).map((one) => weightedTarget(String(one)));
  return list.length === 1 && typeof list[0] === 'string' ? list[0] : list;
}

function weightedTarget(given: string): string | WeightedTarget {
  const [url, ...words] = given.trim().split(/\s+/);
  if (words.length === 0) return given;
  const made: Record<string, number> = {};
  for (const word of words) {
    const [, field, number] = /^(weight|priority)=(\d{1,6})$/.exec(word) ?? [];
    if (field === undefined || field in made) throw usageError(`--target is '${given}'; expected ${targetForm}.`);
    made[field] = Number(number);
  }
  return { url, ...made };
}
