import type { Command } from 'cac';
import { readRoutes } from '../src/admin/schema.ts';
import type { Route } from '../src/core/types.ts';
import { usageError } from './failure.ts';
import { withHandlerSource } from './handler-files.ts';
import { addPoolFlags, poolFlagOf, poolOptionsOfFlags, targetOfFlags } from './pool-flags.ts';
import * as values from './values.ts';

/** The flags of one route, as cac gives them. */
export type RouteOptions = Readonly<Record<string, unknown>>;

interface RouteFlag {
  readonly flag: string;
  readonly value?: string;
  readonly description: string;
  readonly parse: (text: string) => unknown;
}

const text = (given: string) => given;
/** Files have plain milliseconds: here they are taken too. */
const time = (given: string) => (/^\d{1,10}$/.test(given) ? Number(given) : values.duration(1)(given));

/** By the route's field. */
const flags: Partial<Record<keyof Route, RouteFlag>> & Record<'id' | 'target', RouteFlag> = {
  id: { flag: 'id', value: 'HOST[/PATH]', description: "The route's host, with or without a path prefix", parse: text },
  target: {
    flag: 'target',
    value: 'URL',
    description: 'Where its requests go; again for more: "URL weight=3 priority=1"; or service://NAME',
    parse: text,
  },
  hostHeader: {
    flag: 'host-header',
    value: 'client|upstream',
    description: "The Host that the target sees: the client's (default) or its own",
    parse: text,
  },
  insecureSkipVerify: {
    flag: 'insecure-skip-verify',
    description: 'Accept any certificate of an https:// target',
    parse: values.truth,
  },
  connectTimeoutMs: {
    flag: 'connect-timeout',
    value: 'TIME',
    description: 'Time to open a connection to it',
    parse: time,
  },
  responseTimeoutMs: {
    flag: 'response-timeout',
    value: 'TIME',
    description: "Time for it to send a response's head",
    parse: time,
  },
  idleTimeoutMs: { flag: 'idle-timeout', value: 'TIME', description: 'Longest silence inside a body', parse: time },
  maxBodyBytes: {
    flag: 'max-body',
    value: 'SIZE',
    description: 'Longest request body, such as 10MiB; longer ones are answered 413',
    parse: values.bytes(0, Number.MAX_SAFE_INTEGER),
  },
  http: {
    flag: 'http',
    value: 'redirect|allow',
    description: 'What plain HTTP does: lead to HTTPS (default), or be forwarded',
    parse: text,
  },
  hsts: {
    flag: 'hsts',
    value: 'true|VALUE',
    description: 'Strict-Transport-Security on HTTPS answers: true for a year, or its value',
    parse: (given) => (given === 'true' ? true : given === 'false' ? false : given),
  },
  keyType: { flag: 'key-type', value: 'ecdsa|rsa', description: 'The kind of key of its certificate', parse: text },
  certificate: {
    flag: 'certificate',
    value: 'NAME',
    description: 'Share one certificate with the other routes that name it',
    parse: text,
  },
  redirect: {
    flag: 'redirect',
    value: 'URL',
    description: 'Lead clients there in place of a target, such as https://www.example.com',
    parse: text,
  },
  stripPrefix: {
    flag: 'strip-prefix',
    value: 'true|/PREFIX',
    description: "Take the route's own prefix, or this one, off the path on the way to the target",
    parse: (given) => (given === 'true' ? true : given === 'false' ? false : given),
  },
  compress: {
    flag: 'compress',
    description: 'Encode answers with zstd, br or gzip where the client takes it',
    parse: values.truth,
  },
  handler: {
    flag: 'handler',
    value: 'FILE',
    description: 'A program of its own around forwarding: an ES module such as ./auth.mjs',
    parse: text,
  },
};

export function addRouteFlags(command: Command): void {
  for (const { flag, value, description } of Object.values(flags)) {
    command.option(`--${flag}${value ? ` <${value}>` : ''}`, description);
  }
  addPoolFlags(command);
}

/**
 * The route that the flags make.
 * @returns undefined where none of them is given
 * @throws CliError, exit code 2
 */
export function routeOfFlags(options: RouteOptions): Route | undefined {
  const fields = Object.entries(flags).flatMap(([field, { flag, parse }]) => {
    const given = options[flag.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase())];
    if (given === undefined) return [];
    return [[field, field === 'target' ? targetOfFlags(given) : parsed(flag, parse, given)]];
  });
  const route = { ...Object.fromEntries(fields), ...poolOptionsOfFlags(options, parsed) };
  if (Object.keys(route).length === 0) return undefined;
  const sourced = withHandlerSource(route, 'stdin');
  if ('fault' in sourced) throw usageError(`--handler: ${sourced.fault.message.replace(/^handler\.file: /, '')}.`);
  const read = readRoutes([sourced.value]);
  if ('routes' in read) return read.routes[0];
  const hint = 'For example: oo route save --id app.example.com --target http://10.0.0.2:3000';
  throw usageError(
    read.faults.map(({ field = 'id', message }) => `--${flagOf(field, message)}: ${message}`).join('; '),
    hint,
  );
}

function flagOf(field: string, message: string): string {
  return flags[field as keyof Route]?.flag ?? poolFlagOf(field, message) ?? field;
}

function parsed(flag: string, parse: (text: string) => unknown, given: unknown): unknown {
  if (Array.isArray(given))
    throw usageError(`--${flag} is given more than once.`, 'Save one route at a time, or a file of them.');
  try {
    return parse(String(given));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw usageError(`--${flag} is '${String(given)}'; expected ${error.message}.`);
  }
}
