import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { cac } from 'cac';
import { Hono } from 'hono';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clearSocket } from '../../cli/state.ts';
import { addStatusCommand, type StatusHost } from '../../cli/status.ts';
import { ratesOf } from '../../cli/status-rates.ts';
import { latencyText, rateText, statusLines } from '../../cli/status-text.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { createApi } from '../../src/admin/operation.ts';
import type { Live, LiveInstance, LivePool } from '../../src/admin/status.ts';
import { addLiveCalls } from '../../src/admin/status-api.ts';
import { openGate } from '../../src/core/admission-gate.ts';
import { latencyBucket } from '../../src/core/latency.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';
import { within } from '../helpers/wait.ts';

const status = suite('cli: oo status');
const wide = { columns: Number.POSITIVE_INFINITY, lines: Number.POSITIVE_INFINITY, colors: false };

function pool(name: string, more: Partial<LivePool> = {}): LivePool {
  return {
    ...{ name, kind: 'route', target: 'http://10.0.0.1', state: 'ok', gate: null, serviceGate: null, canary: null },
    ...{ requests: 0, errors: 0, retries: 0, inFlight: 0, waiting: 0, latencies: [] },
    ...more,
  };
}

function instance(key: string, more: Partial<LiveInstance> = {}): LiveInstance {
  return {
    ...{ key, address: key.split(' ')[0], state: 'Unknown', since: 0, reason: '', ejected: null, pools: [] },
    ...{ requests: 0, failures: 0, inFlight: 0, open: 0, breaker: '', latencyMs: -1 },
    ...more,
  };
}

function live(at: number, pools: LivePool[], instances: LiveInstance[] = [], quiet = 0): Live {
  return { at, revision: 12, workers: 2, pools, instances, quiet };
}

/** Counts in the buckets of these latencies, ms. */
function latencies(...list: readonly (readonly [ms: number, count: number])[]): number[] {
  const counts: number[] = new Array(64).fill(0);
  for (const [ms, count] of list) counts[latencyBucket(ms)] += count;
  return counts;
}

status('rates are what happened between two samples', () => {
  const before = [pool('a', { requests: 100, errors: 5, latencies: latencies([1, 1_000]) })];
  const after = [
    pool('a', { requests: 140, errors: 6, retries: 1, inFlight: 3, latencies: latencies([1, 1_010], [40, 10]) }),
    pool('b', { requests: 100 }),
    pool('c'),
  ];
  const { pools, seconds } = ratesOf(live(1_000, before), live(3_000, after));
  assert.is(seconds, 2);
  assert.equal(
    pools.map(({ name, requestsPerSecond, errorsPerSecond, retriesPerSecond }) => [
      ...[name, requestsPerSecond, errorsPerSecond, retriesPerSecond],
    ]),
    [
      ['b', 50, 0, 0],
      ['a', 20, 0.5, 0.5],
      ['c', 0, 0, 0],
    ],
  );
  const { p50Ms, p99Ms } = pools[1];
  assert.ok(p50Ms !== null && p50Ms > 0.8 && p50Ms < 1.3, `${p50Ms}`);
  assert.ok(p99Ms !== null && p99Ms > 31 && p99Ms < 51, `${p99Ms}`);
  assert.equal([pools[2].p50Ms, pools[2].p99Ms], [null, null], 'nothing was answered');
});

status('one sample has no rates; a worker that was started anew does not make them negative', () => {
  const [row] = ratesOf(null, live(1, [pool('a', { requests: 5, latencies: [5] })])).pools;
  assert.equal([row.requestsPerSecond, row.p50Ms], [null, null]);
  const before = live(0, [pool('a', { requests: 900, latencies: [900] })], [instance('x', { requests: 900 })]);
  const view = ratesOf(before, live(1_000, [pool('a', { requests: 7, latencies: [7] })], [instance('x')]));
  assert.equal([view.pools[0].requestsPerSecond, view.pools[0].p50Ms], [0, null]);
  assert.is(view.instances[0].requestsPerSecond, 0);
});

status('states in words, the most pressing first', () => {
  const canary = { target: 'x', percent: 10 };
  const paused = { ...openGate, state: 'paused' as const };
  const words = ratesOf(
    null,
    live(0, [
      pool('1', { state: 'none' }),
      pool('2', { state: 'panic', gate: paused }),
      pool('3', { canary }),
      pool('4', { state: 'panic', canary: { target: 'x', header: 'x-beta=1' } }),
      pool('5', { gate: { ...openGate, state: 'stopped' }, serviceGate: paused }),
      pool('6', { serviceGate: paused }),
    ]),
  ).pools.map(({ state }) => state);
  assert.equal(words, [
    'no instance',
    'paused',
    'ok, canary 10%',
    'panic, canary x-beta=1',
    'stopped',
    'service paused',
  ]);
  const ejected = { cause: 'unreachable', leftMs: 4_200 };
  const instances = ratesOf(
    null,
    live(
      0,
      [],
      [
        instance('1', { state: 'Unreachable', since: 1, reason: 'no connection', ejected }),
        instance('2', { state: 'Healthy', since: 1, ejected }),
        instance('3', { breaker: 'open' }),
        instance('4', { state: 'Degraded', since: 1, reason: 'slow' }),
        instance('5', { state: 'Healthy', since: 1 }),
        instance('6', { pools: [{ name: 'route x', share: 1 }] }),
        instance('7', { inFlight: 1 }),
      ],
    ),
  ).instances.map(({ state, why }) => `${state} | ${why}`);
  assert.equal(instances, [
    'draining | ',
    'unreachable | no connection',
    'ejected | no connection, several times in a row; back in 5 s',
    'breaker open | too many of its requests failed',
    'degraded | slow',
    'healthy | ',
    '- | ',
  ]);
});

status('the table: sums count a request once, numbers stand on the right', () => {
  const web = { kind: 'service', requests: 30, inFlight: 2 } as const;
  const view = ratesOf(
    live(0, [], []),
    live(
      1_000,
      [
        pool('app.test', { target: 'service://web', requests: 30, inFlight: 2 }),
        pool('web', web),
        pool('x.test', { requests: 4 }),
      ],
      [
        instance('http://10.0.0.1:3000 {"health":"tcp"}', {
          ...{ state: 'Healthy', since: 1, requests: 30, latencyMs: 1.24 },
          pools: [
            { name: 'service web', share: 0.5 },
            { name: 'route app.test', share: 0.5 },
          ],
        }),
      ],
      3,
    ),
  );
  assert.equal(statusLines(view, wide), [
    '00:00:01 UTC · 34 requests/s · 0 errors/s · 0 retries/s · 2 in flight · 2 workers · revision 12',
    '',
    'ROUTE OR SERVICE  TARGET           STATE  REQ/S  ERR/S  P50  P99  IN FLIGHT  WAITING',
    'app.test          service://web    ok        30      0    -    -          2        0',
    'web               http://10.0.0.1  ok        30      0    -    -          2        0',
    'x.test            http://10.0.0.1  ok       4.0      0    -    -          0        0',
    '… and 3 more: oo status --all',
    '',
    'INSTANCE              OF      SHARE  REQ/S  FAIL/S  IN FLIGHT  LATENCY  STATE',
    'http://10.0.0.1:3000  web +1    50%     30       0          0   1.2 ms  healthy',
  ]);
  const empty = statusLines(ratesOf(live(0, []), live(1_000, [])), wide);
  assert.match(empty[2], 'There is no route and no service yet');
});

status('it fits the room that there is; those in trouble stay, and nothing reaches the terminal unseen', () => {
  const pools = Array.from({ length: 50 }, (_, n) => pool(`${'long'.repeat(9)}${n}.test`, { requests: 100 - n }));
  pools[49] = { ...pools[49], state: 'panic', target: 'http://evil\x1b[2J\u202e' };
  const instances = Array.from({ length: 50 }, (_, n) => instance(`http://10.0.0.${n}:80`, { requests: n }));
  const view = ratesOf(live(0, []), live(1_000, pools, instances));
  for (const columns of [60, 80, 120, 200]) {
    const lines = statusLines(view, { columns, lines: 22, colors: false });
    assert.ok(lines.length <= 22, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= Math.max(columns, 60), `${line.length}: ${line}`);
    assert.ok(
      lines.some((line) => line.includes('panic')),
      `${columns}`,
    );
    assert.ok(lines.some((line) => /^… and 4\d more/.test(line)));
    assert.not(lines.join('').includes('\x1b'));
    assert.not(lines.join('').includes('\u202e'));
  }
  const colored = statusLines(view, { columns: 120, lines: 22, colors: true });
  assert.ok(colored.some((line) => line.startsWith('\x1b[31m') && line.includes('panic') && line.endsWith('\x1b[0m')));
});

status('numbers as people read them', () => {
  assert.equal([null, 0, 0.04, 0.4, 9.94, 9.96, 1234.5].map(rateText), ['-', '0', '<0.1', '0.4', '9.9', '10', '1235']);
  assert.equal([null, 0.31, 9.96, 999.4, 999.6, 12_340].map(latencyText), [
    '-',
    '0.3 ms',
    '10 ms',
    '999 ms',
    '1.0 s',
    '12.3 s',
  ]);
});

interface Screen {
  readonly host: StatusHost;
  press(key: string): void;
  /** How often it has waited. */
  waits: number;
  onWait: () => void;
}

/** A terminal of 100 × 24 where time passes at once. */
function screen(isTerminal: boolean, colors = false): Screen {
  const listeners = new Set<(key: string) => void>();
  const terminal: Terminal = {
    size: () => ({ columns: 100, rows: 24 }),
    colors,
    keys(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const self: Screen = {
    host: {
      terminal: isTerminal ? terminal : undefined,
      async wait() {
        self.waits++;
        self.onWait();
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    press: (key) => {
      for (const listener of listeners) listener(key);
    },
    waits: 0,
    onWait: () => {},
  };
  return self;
}

async function start(samples: readonly Live[]) {
  const dir = temporary();
  const app = new Hono();
  const api = createApi(app);
  const asked: (boolean | undefined)[] = [];
  addLiveCalls(api, async (all) => {
    asked.push(all);
    return samples[Math.min(asked.length, samples.length) - 1];
  });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(clearSocket(dir), resolve));
  return {
    asked,
    async run(args: readonly string[], { host }: Screen) {
      const io = memoryIo({ OO_STATE_DIR: dir });
      const program = cac('oo');
      addStatusCommand(program, io, () => host);
      program.parse(['node', 'oo', 'status', ...args], { run: false });
      await within(program.runMatchedCommand(), 'oo status');
      return io.said;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const two = [live(0, [pool('a.test', { requests: 1 })]), live(1_000, [pool('a.test', { requests: 8 })])];

status('in a pipe: once, plain, after one second', async () => {
  const { run, asked, stop } = await start(two);
  const pipe = screen(false);
  const { out, err } = await run([], pipe);
  assert.match(out, /^00:00:01 UTC · 7\.0 requests\/s/);
  assert.match(out, /a\.test +http:\/\/10\.0\.0\.1 +ok +7\.0 /);
  assert.equal([err, pipe.waits, asked], ['', 1, [false, false]]);
  assert.not(out.includes('\x1b'));
  await stop();
});

status('-o json, -q and --all', async () => {
  const { run, asked, stop } = await start(two);
  const { pools, seconds } = JSON.parse((await run(['-o', 'json'], screen(true))).out);
  assert.equal([pools[0].requestsPerSecond, pools[0].state, seconds], [7, 'ok', 1]);
  assert.is((await run(['-q'], screen(true))).out, 'a.test\n');
  asked.length = 0;
  assert.not((await run(['--all'], screen(true))).out.includes('\x1b'));
  assert.equal(asked, [true, true]);
  await stop();
});

status('on a terminal: drawn over itself each second, until q', async () => {
  const { run, stop } = await start([...two, live(2_000, [pool('a.test', { requests: 11 })])]);
  const terminal = screen(true);
  terminal.onWait = () => {
    if (terminal.waits === 3) terminal.press('q');
  };
  const { out } = await run([], terminal);
  const frames = out.split('\x1b[J').slice(0, -1);
  assert.is(frames.length, 3);
  const lines = frames[0].split('\n').length - 1;
  assert.match(frames[0], / - requests\/s/);
  assert.ok(frames[1].startsWith(`\x1b[${lines}A\r`), JSON.stringify(frames[1].slice(0, 10)));
  assert.match(frames[1], '7.0 requests/s');
  assert.match(frames[2], '3.0 requests/s');
  await stop();
});

status('Ctrl-C ends it, too; a server that is gone is told', async () => {
  const { run, stop } = await start(two);
  const terminal = screen(true);
  terminal.onWait = () => terminal.press('\x03');
  await run([], terminal);
  assert.is(terminal.waits, 1);
  await stop();
  const error = await run([], screen(true)).then(
    () => undefined,
    (failure) => failure,
  );
  assert.match(error?.message, /No server is running|connection to the server/);
});

status.run();
