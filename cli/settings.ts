import { defaultEdgeSettings as edge } from '../src/edge/settings.ts';
import { certificateSettings, encryptionSettings } from './certificate-settings.ts';
import { type Setting, setting } from './setting.ts';
import * as values from './values.ts';

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
  apiHosts: setting<readonly string[]>({
    flag: 'api-hosts',
    value: 'NAMES',
    variables: ['OO_API_HOSTS'],
    fallback: [],
    shown: "addresses, localhost, this machine's name, --self-url's",
    description: 'More names, between commas, under which the service port tells strangers what it is',
    parse: values.names,
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
