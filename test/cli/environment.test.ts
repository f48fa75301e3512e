import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSettings, settingsInForce, settingsTable } from '../../cli/environment.ts';
import { commonSettings, serveSettings } from '../../cli/settings.ts';
import { showBytes, showDuration } from '../../cli/values.ts';
import { defaultEdgeSettings as edge } from '../../src/edge/settings.ts';

const environment = suite('cli: settings');
const all = { ...commonSettings, ...serveSettings };

environment('nothing set: the defaults', () => {
  const values = readSettings(all, {}, {});
  assert.equal(
    [values.httpPort, values.httpsPort, values.adminPort, values.adminHost, values.testMode, values.accessLog],
    [80, 443, 11_337, '127.0.0.1', false, 'off'],
  );
  assert.equal(
    [values.stateDir, values.db, values.dbToken, values.httpHost],
    [undefined, undefined, undefined, undefined],
  );
  for (const [key, value] of Object.entries(edge)) {
    if (!['http', 'https', 'service', 'builtInSocket', 'handlers'].includes(key))
      assert.equal((values as unknown as Record<string, unknown>)[key], value, `${key} is the edge's own`);
  }
});

environment('every default is one that its own flag takes, in the words of the help', () => {
  for (const { flag, shown, fallback, parse } of Object.values(all)) {
    if (fallback === undefined || /[^\w.|-]/.test(shown) || shown === 'none') continue;
    assert.equal((parse as (text: string) => unknown)(shown), fallback, flag);
  }
});

environment('flags and variables are each of one setting only', () => {
  const flags = Object.values(all).map(({ flag }) => flag);
  const names = Object.values(all).flatMap(({ variables }) =>
    variables.map((one) => (typeof one === 'string' ? one : one.name)),
  );
  assert.is(new Set(flags).size, flags.length);
  // The seed's URL of a server has both its port and its name.
  assert.equal(
    names.filter((name, at) => names.indexOf(name) !== at),
    ['OB_SELF_URL'],
  );
});

environment('flag over OO_ over OB_; an empty variable is none', () => {
  const env = { OO_HTTP_PORT: '8081', OB_EDGE_PROXY_HTTP_PORT: '8082' };
  assert.is(readSettings(serveSettings, { httpPort: '8080' }, env).httpPort, 8080);
  assert.is(readSettings(serveSettings, {}, env).httpPort, 8081);
  assert.is(readSettings(serveSettings, {}, { ...env, OO_HTTP_PORT: '' }).httpPort, 8082);
});

environment("the seed's variables", () => {
  const values = readSettings(
    all,
    {},
    {
      OB_FOLDER: '/x',
      OB_DB_CONNECTION_STRING: 'libsql://x',
      OB_EDGE_PROXY_HTTPS_PORT: '8443',
      OB_EDGE_PROXY_TEST_MODE: 'true',
      OB_SELF_URL: 'http://127.0.0.1:11338',
      OB_EDGE_PROXY: 'true',
    },
  );
  assert.equal([values.stateDir, values.db, values.httpsPort], ['/x', 'libsql://x', 8443]);
  assert.equal([values.testMode, values.adminPort], [true, 11_338]);
  assert.is(readSettings(all, {}, { OB_SELF_URL: 'http://example.com' }).adminPort, 80);
});

for (const [flag, text, value] of [
  ['drainTimeout', '500ms', 500],
  ['drainTimeout', '1.5s', 1_500],
  ['drainTimeout', '0s', 0],
  ['keepAliveTimeout', '5m', 300_000],
  ['tunnelIdleTimeout', '2h', 7_200_000],
  ['maxHead', '64KiB', 65_536],
  ['maxHead', '16384', 16_384],
  ['trustedProxies', '10.0.0.0/8, fd00::/8 192.0.2.1', ['10.0.0.0/8', 'fd00::/8', '192.0.2.1']],
  ['httpHost', '::1', '::1'],
  ['httpHost', '[::1]', '::1'],
  ['accessLog', '-', '-'],
  ['testMode', true, true],
  ['testMode', false, false],
  ['workers', '4', 4],
] as const) {
  environment(`${flag} ${text}`, () => {
    const values = Object.values(readSettings(serveSettings, { [flag]: text }, {}));
    const before = Object.values(readSettings(serveSettings, {}, {}));
    const changed = values.filter((one, i) => one !== before[i]);
    assert.equal(changed.length > 0 ? changed : [before[Object.keys(serveSettings).indexOf(flag)]], [value]);
  });
}

for (const [flags, env, message] of [
  [{ httpPort: '99999' }, {}, "--http-port is '99999'; expected a port from 0 to 65535 (0: any free one)."],
  [{ httpPort: '' }, {}, "--http-port is ''; expected a value."],
  [{ httpPort: ['1', '2'] }, {}, '--http-port is given more than once.'],
  [{}, { OO_HTTP_PORT: '80a' }, "OO_HTTP_PORT is '80a'; expected a port from 0 to 65535 (0: any free one)."],
  [
    {},
    { OB_EDGE_PROXY_HTTP_PORT: '-1' },
    "OB_EDGE_PROXY_HTTP_PORT is '-1'; expected a port from 0 to 65535 (0: any free one).",
  ],
  [{}, { OB_SELF_URL: 'localhost' }, "OB_SELF_URL is 'localhost'; expected a URL such as http://127.0.0.1:11337."],
  [
    {},
    { OB_DB_CONNECTION_STRING: 'postgres://u:p@h/d?x=secret' },
    "OB_DB_CONNECTION_STRING is 'postgres://…@h/d?…'; expected a libSQL database: a path, file:/path/oo.db, libsql://… or https://….",
  ],
  [{ connectTimeout: '5' }, {}, "--connect-timeout is '5'; expected a time such as 500ms, 30s or 5m, 1ms or more."],
  [{ connectTimeout: '0s' }, {}, "--connect-timeout is '0s'; expected a time such as 500ms, 30s or 5m, 1ms or more."],
  [
    { connectTimeout: '600h' },
    {},
    "--connect-timeout is '600h'; expected a time such as 500ms, 30s or 5m, 1ms or more, 24d at most.",
  ],
  [
    { connectTimeout: '30d' },
    {},
    "--connect-timeout is '30d'; expected a time such as 500ms, 30s or 5m, 1ms or more, 24d at most.",
  ],
  [{ maxHead: '1TiB' }, {}, "--max-head is '1TiB'; expected a size such as 16384 or 32KiB, from 1KiB to 1MiB."],
  [{ workers: '0' }, {}, "--workers is '0'; expected a whole number from 1 to 1024."],
  [
    { httpHost: 'example.com' },
    {},
    "--http-host is 'example.com'; expected an IPv4 or IPv6 address of this machine, or localhost.",
  ],
  [
    { trustedProxies: '10.0.0.0/33' },
    {},
    "--trusted-proxies is '10.0.0.0/33'; expected addresses and CIDRs between commas, such as 10.0.0.0/8,fd00::/8.",
  ],
  [{}, { OB_EDGE_PROXY_TEST_MODE: 'maybe' }, "OB_EDGE_PROXY_TEST_MODE is 'maybe'; expected true or false."],
] as const) {
  environment(`refused: ${message}`, () => {
    try {
      readSettings(all, flags, env);
      assert.unreachable();
    } catch (error) {
      assert.equal([(error as Error).message, (error as { exitCode: number }).exitCode], [message, 2]);
    }
  });
}

environment('times and sizes are shown in the largest unit that is exact', () => {
  assert.equal([0, 1, 1_500, 30_000, 300_000, 3_600_000].map(showDuration), [
    '0ms',
    '1ms',
    '1500ms',
    '30s',
    '5m',
    '1h',
  ]);
  assert.equal([0, 240, 1_024, 32_768, 1_048_576].map(showBytes), ['0', '240', '1KiB', '32KiB', '1MiB']);
});

environment('the table for the README has a row for each', () => {
  const rows = settingsTable(all).split('\n');
  assert.is(rows.length, Object.keys(all).length + 2);
  assert.is(rows[6], '| `--http-port PORT` | `OO_HTTP_PORT`, `OB_EDGE_PROXY_HTTP_PORT` | 80 | Port of plain HTTP |');
  assert.ok(rows.every((row) => row.replaceAll('\\|', '').split('|').length === 6));
});

environment('a secret is not shown, nor quoted where it is wrong', () => {
  const given = { acmeEabKey: 'hunter2', dbToken: 'hunter2', encryptionKey: 'hunter2' };
  const secrets = Object.values(all).filter(({ flag }) => /token$|key$/.test(flag));
  assert.is(secrets.length, 3);
  for (const one of secrets) {
    const [shown] = settingsInForce({ one: { ...one, parse: (text) => text } }, given, {});
    assert.equal([shown.value, shown.source], ['(given)', `--${one.flag}`]);
    const refusing = () => {
      throw new RangeError('another');
    };
    assert.throws(
      () => readSettings({ one: { ...one, parse: refusing } }, given, {}),
      (error: Error) => error.message === `--${one.flag} is not what it must be; expected another.`,
    );
  }
});

environment.run();
