import { defaultEdgeSettings as edge } from '../src/edge/settings.ts';
import { certificateSettings, encryptionSettings } from './certificate-settings.ts';
import { usageError } from './failure.ts';
import { type Setting, setting, type Variable } from './setting.ts';
import * as values from './values.ts';

type Settings = Record<string, Setting<unknown>>;

/** The values of a table of settings. */
export type Values<S extends Settings> = { -readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

function time(flag: string, variable: string, fallback: number, description: string, least = 1): Setting<number> {
  return {
    flag,
    value: 'TIME',
    variables: [variable],
    fallback,
    shown: values.showDuration(fallback),
    description,
    parse: values.duration(least),
  };
}

/** Every command has these. */
export const commonSettings = {
  stateDir: setting<string | undefined>({
    flag: 'state-dir',
    value: 'DIR',
    variables: ['OO_STATE_DIR', 'OB_FOLDER'],
    fallback: undefined,
    shown: '$XDG_STATE_HOME/oo, else ~/.local/state/oo',
    description: "Where the database and the server's socket are",
    parse: (text) => text,
  }),
  db: setting<string | undefined>({
    flag: 'db',
    value: 'URL',
    variables: ['OO_DB', 'OB_DB_CONNECTION_STRING'],
    fallback: undefined,
    shown: 'oo.db in the state directory',
    description: 'A libSQL file of one server (file:/path) or a database that many share (libsql://, https://)',
    parse: values.databaseUrl,
  }),
  dbToken: setting<string | undefined>({
    flag: 'db-token',
    value: 'TOKEN',
    variables: ['OO_DB_TOKEN'],
    fallback: undefined,
    shown: 'none',
    description: 'The token for a shared database; better in OO_DB_TOKEN, where ps does not show it',
    parse: (text) => text,
  }),
  ...encryptionSettings,
};

/** What `oo serve` takes besides. Names that EdgeSettings has mean what they mean there. */
export const serveSettings = {
  httpPort: setting({
    flag: 'http-port',
    value: 'PORT',
    variables: ['OO_HTTP_PORT', 'OB_EDGE_PROXY_HTTP_PORT'],
    fallback: 80,
    shown: '80',
    description: 'Port of plain HTTP',
    parse: values.port,
  }),
  httpHost: setting<string | undefined>({
    flag: 'http-host',
    value: 'ADDRESS',
    variables: ['OO_HTTP_HOST'],
    fallback: undefined,
    shown: 'all addresses',
    description: 'Address that plain HTTP binds',
    parse: values.address,
  }),
  httpsPort: setting({
    flag: 'https-port',
    value: 'PORT',
    variables: ['OO_HTTPS_PORT', 'OB_EDGE_PROXY_HTTPS_PORT'],
    fallback: 443,
    shown: '443',
    description: 'Port of HTTPS',
    parse: values.port,
  }),
  httpsHost: setting<string | undefined>({
    flag: 'https-host',
    value: 'ADDRESS',
    variables: ['OO_HTTPS_HOST'],
    fallback: undefined,
    shown: 'all addresses',
    description: 'Address that HTTPS binds',
    parse: values.address,
  }),
  testMode: setting({
    flag: 'test-mode',
    variables: ['OO_TEST_MODE', 'OB_EDGE_PROXY_TEST_MODE'],
    fallback: false,
    shown: 'false',
    description: 'Proxy over plain HTTP, without redirects and certificates',
    parse: values.truth,
  }),
  adminPort: setting({
    flag: 'admin-port',
    value: 'PORT',
    variables: ['OO_ADMIN_PORT', { name: 'OB_SELF_URL', parse: portOfUrl }],
    fallback: 11_337,
    shown: '11337',
    description: 'Port of the service and admin listener',
    parse: values.port,
  }),
  adminHost: setting({
    flag: 'admin-host',
    value: 'ADDRESS',
    variables: ['OO_ADMIN_HOST'],
    fallback: '127.0.0.1',
    shown: '127.0.0.1',
    description: 'Address that the service and admin listener binds',
    parse: values.address,
  }),
  selfUrl: setting<string | undefined>({
    flag: 'self-url',
    value: 'URL',
    variables: ['OO_SELF_URL', 'OB_SELF_URL'],
    fallback: undefined,
    shown: 'the service listener, by the name of the machine',
    description: 'How other machines reach the service port of this one: what oo node ls shows',
    parse: values.httpUrl,
  }),
  nodeId: setting<string | undefined>({
    flag: 'node-id',
    value: 'ID',
    variables: ['OO_NODE_ID', 'OB_NODE_ID'],
    fallback: undefined,
    shown: 'made of the URL',
    description: 'The id of this machine among those that share a database',
    parse: values.identifier,
  }),
  az: setting<string | undefined>({
    flag: 'az',
    value: 'ZONE',
    variables: ['OO_AZ', 'OB_AZ'],
    fallback: undefined,
    shown: 'none',
    description: 'The availability zone of this machine',
    parse: values.identifier,
  }),
  workers: setting({
    flag: 'workers',
    value: 'N',
    variables: ['OO_WORKERS'],
    fallback: edge.workers,
    shown: 'one per core',
    description: 'Number of data workers',
    parse: values.count(1, 1_024),
  }),
  trustedProxies: setting<readonly string[]>({
    flag: 'trusted-proxies',
    value: 'CIDRS',
    variables: ['OO_TRUSTED_PROXIES'],
    fallback: edge.trustedProxies,
    shown: 'none',
    description: 'Proxies in front whose X-Forwarded-* are believed, between commas',
    parse: values.networks,
  }),
  accessLog: setting({
    flag: 'access-log',
    value: 'off|-|FILE',
    variables: ['OO_ACCESS_LOG'],
    fallback: edge.accessLog,
    shown: edge.accessLog,
    description: 'One line a request: off, - for standard output, or a file',
    parse: (text) => text,
  }),
  drainTimeoutMs: time(
    'drain-timeout',
    'OO_DRAIN_TIMEOUT',
    edge.drainTimeoutMs,
    'How long running requests may take to end at SIGTERM',
    0,
  ),
  connectTimeoutMs: time(
    'connect-timeout',
    'OO_CONNECT_TIMEOUT',
    edge.connectTimeoutMs,
    'Time to open an upstream connection',
  ),
  headTimeoutMs: time(
    'head-timeout',
    'OO_HEAD_TIMEOUT',
    edge.headTimeoutMs,
    "Time for a client to send a request's head",
  ),
  responseTimeoutMs: time(
    'response-timeout',
    'OO_RESPONSE_TIMEOUT',
    edge.responseTimeoutMs,
    "Time for an upstream to send a response's head",
  ),
  idleTimeoutMs: time('idle-timeout', 'OO_IDLE_TIMEOUT', edge.idleTimeoutMs, 'Longest silence inside a body'),
  keepAliveTimeoutMs: time(
    'keep-alive-timeout',
    'OO_KEEP_ALIVE_TIMEOUT',
    edge.keepAliveTimeoutMs,
    'How long an idle client connection is kept',
  ),
  upstreamIdleMs: time(
    'upstream-idle-timeout',
    'OO_UPSTREAM_IDLE_TIMEOUT',
    edge.upstreamIdleMs,
    'How long an idle upstream connection is kept',
  ),
  tunnelIdleMs: time(
    'tunnel-idle-timeout',
    'OO_TUNNEL_IDLE_TIMEOUT',
    edge.tunnelIdleMs,
    'Longest silence in a WebSocket or another upgrade',
  ),
  minBodyRate: setting({
    flag: 'min-body-rate',
    value: 'SIZE',
    variables: ['OO_MIN_BODY_RATE'],
    fallback: edge.minBodyRate,
    shown: values.showBytes(edge.minBodyRate),
    description: 'Request bodies slower than this, a second, are cut after half a minute; 0: never',
    parse: values.bytes(0, 1024 ** 3),
  }),
  maxHeadBytes: setting({
    flag: 'max-head',
    value: 'SIZE',
    variables: ['OO_MAX_HEAD'],
    fallback: edge.maxHeadBytes,
    shown: values.showBytes(edge.maxHeadBytes),
    description: 'Longest request head',
    parse: values.bytes(1024, 1024 ** 2),
  }),
  maxFields: setting({
    flag: 'max-fields',
    value: 'N',
    variables: ['OO_MAX_FIELDS'],
    fallback: edge.maxFields,
    shown: String(edge.maxFields),
    description: 'Most header fields of a request',
    parse: values.count(8, 10_000),
  }),
  maxTargetBytes: setting({
    flag: 'max-target',
    value: 'SIZE',
    variables: ['OO_MAX_TARGET'],
    fallback: edge.maxTargetBytes,
    shown: values.showBytes(edge.maxTargetBytes),
    description: 'Longest request target (path and query)',
    parse: values.bytes(64, 1024 ** 2),
  }),
  maxUpstreamConnections: setting({
    flag: 'max-upstream-connections',
    value: 'N',
    variables: ['OO_MAX_UPSTREAM_CONNECTIONS'],
    fallback: edge.maxUpstreamConnections,
    shown: String(edge.maxUpstreamConnections),
    description: 'Most connections to one target, in one worker',
    parse: values.count(1, 1_000_000),
  }),
  ...certificateSettings,
};

/** The seed's variables that are accepted and change nothing, and why. */
export const ignoredVariables: Readonly<Record<string, string>> = {
  OB_EDGE_PROXY: 'oo always is an edge proxy',
};

/** `http://127.0.0.1:11337` → 11337. */
function portOfUrl(text: string): number {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new RangeError('a URL such as http://127.0.0.1:11337');
  return Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
}

/**
 * Reads settings: flag over variables (in their order; an empty one counts as unset) over fallback.
 * @param flags texts (or true for a switch) by the flag's name in camelCase, as cac gives them
 * @throws CliError, exit code 2, naming the flag or the variable that is wrong
 */
export function readSettings<S extends Settings>(
  settings: S,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Values<S> {
  const read = Object.entries(settings).map(([key, one]) => [key, readSetting(one, flags, environment)]);
  return Object.fromEntries(read);
}

function readSetting(
  one: Setting<unknown>,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  const given = givenTo(one, flags, environment);
  return given === undefined ? one.fallback : parsed(given.parse, given.text, given.source);
}

/** What a setting is given, and by what. */
function givenTo(
  one: Setting<unknown>,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): { text: string; source: string; parse: (text: string) => unknown } | undefined {
  const flag = flags[one.flag.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase())];
  if (Array.isArray(flag)) throw usageError(`--${one.flag} is given more than once.`, 'Give it once.');
  if (flag !== undefined) return { text: String(flag), source: `--${one.flag}`, parse: one.parse };
  for (const variable of one.variables) {
    const { name, parse = one.parse } = typeof variable === 'string' ? { name: variable } : variable;
    const text = environment[name];
    if (text !== undefined && text !== '') return { text, source: name, parse };
  }
  return undefined;
}

/** A setting as people see it. */
export interface SettingInForce {
  /** Its flag, without dashes. */
  readonly name: string;
  /** As it was given, or as help words the default; of a secret only that there is one. */
  readonly value: string;
  /** `--flag`, the variable, or `default`. */
  readonly source: string;
}

/** All settings with what they are and why. Secrets are not shown. @throws as `readSettings` */
export function settingsInForce(
  settings: Settings,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): SettingInForce[] {
  return Object.values(settings).map((one) => {
    const given = givenTo(one, flags, environment);
    if (given === undefined) return { name: one.flag, value: one.shown, source: 'default' };
    parsed(given.parse, given.text, given.source);
    const value = secretFlags.has(one.flag) ? '(given)' : quotable(given.text);
    return { name: one.flag, value, source: given.source };
  });
}

const secretFlags = new Set(['db-token', 'encryption-key', 'token']);

function parsed(parse: (text: string) => unknown, text: string, source: string): unknown {
  try {
    if (text === '') throw new RangeError('a value');
    return parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const hint = source.startsWith('--') ? 'See oo <command> --help.' : `Mend or unset the variable ${source}.`;
    throw usageError(`${source} is '${quotable(text)}'; expected ${error.message}.`, hint);
  }
}

/** One line, not too long, without the password or token of a URL. */
function quotable(text: string): string {
  const line = text
    .replace(/\/\/[^/?#]*@/, '//…@')
    .replace(/\?.*/s, '?…')
    .replace(/\p{C}/gu, '?');
  return line.length > 100 ? `${line.slice(0, 100)}…` : line;
}

/** Adds the settings' flags to a command of cac. */
export function addFlags<C extends { option(name: string, description: string): C }>(
  command: C,
  settings: Settings,
): C {
  for (const { flag, letter, value, description, variables, shown } of Object.values(settings)) {
    const [variable] = variables.map(nameOf);
    command.option(
      `${letter ? `-${letter}, ` : ''}--${flag}${value ? ` <${value}>` : ''}`,
      `${description} (${variable}; default: ${shown})`,
    );
  }
  return command;
}

/** The settings as rows of a Markdown table, for the README. */
export function settingsTable(settings: Settings): string {
  const rows = Object.values(settings).map(({ flag, value, variables, shown, description }) => {
    const cells = [
      `\`--${flag}${value ? ` ${value}` : ''}\``,
      variables.map((one) => `\`${nameOf(one)}\``).join(', '),
      shown,
    ];
    return [...cells, description].map((cell) => cell.replaceAll('|', '\\|'));
  });
  const lines = [['flag', 'variables', 'default', 'meaning'], ['---', '---', '---', '---'], ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function nameOf(variable: string | Variable<unknown>): string {
  return typeof variable === 'string' ? variable : variable.name;
}
