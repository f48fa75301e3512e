import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startServices } from '../cli/services.ts';
import { openDatabase } from '../db/database.ts';
import { emptyTable } from '../src/core/table.ts';
import type { PoolsChange } from '../src/edge/messages.ts';
import { PoolsState } from '../src/edge/pools-state.ts';

// What the main process spends on many services: npm run bench does not run it; `node scripts/launch.mjs scripts/bench-services.ts`.
// Each instance has an address of its own in 127.0.0.0/8, where one process listens, and sends its heartbeat each 30 s.

const services = Number(process.env.OO_BENCH_SERVICES ?? 1_000);
const instances = Number(process.env.OO_BENCH_INSTANCES ?? 10);
const seconds = Number(process.env.OO_BENCH_SECONDS ?? 60);
const heartbeatMs = 30_000;
const listenerVariable = 'OO_BENCH_LISTENER';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

if (process.env[listenerVariable] !== undefined) listen();
else await bench();

/** The instances: they take connections and do no more. */
function listen(): void {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.resume();
  });
  server.listen({ host: '0.0.0.0', port: 0, backlog: 4_096 }, () =>
    process.send!((server.address() as net.AddressInfo).port),
  );
  process.on('disconnect', () => process.exit());
}

async function bench(): Promise<void> {
  const listener = fork(process.argv[1], [], { env: { ...process.env, [listenerVariable]: '1' } });
  const [port] = (await once(listener, 'message')) as [number];
  const dir = mkdtempSync(join(tmpdir(), 'oo-bench-'));
  try {
    await measure(listener, port, `file:${join(dir, 'oo.db')}`);
  } finally {
    if (listener.connected) listener.disconnect();
    rmSync(dir, { recursive: true });
  }
}

async function measure(listener: ChildProcess, port: number, url: string): Promise<void> {
  const database = await openDatabase({ url });
  const sent = { messages: 0, bytes: 0, flips: 0 };
  const pools = new PoolsState();
  const supervisor = {
    ...{ pools, onSuspect: () => {}, onOutcomes: () => {} },
    async publishPools(change: Partial<PoolsChange>) {
      sent.flips += (change.down?.length ?? 0) + (change.up?.length ?? 0);
      for (const message of pools.apply(change).messages) {
        sent.messages += 1;
        sent.bytes += JSON.stringify(message).length;
      }
    },
  };
  const before = { rss: memory(), held: held() };
  const room = await startServices({
    ...{ supervisor, shared: false, ownPorts: () => [], table: emptyTable },
    stores: { registry: database.registry, health: database.health },
    self: { url: 'http://127.0.0.1:11337' },
    log: (line) => console.log(line),
  });
  const urls = Array.from({ length: services * instances }, (_, at) => ({
    slug: `service-${Math.floor(at / instances)}`,
    url: `http://127.${1 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}:${port}`,
  }));
  const beat = ({ slug, url }: (typeof urls)[number]) => {
    const outcome = room.registry.register(slug, { url });
    if (!('instance' in outcome)) throw new Error(outcome.fault);
  };
  const registering = process.cpuUsage();
  const startedAt = performance.now();
  for (const one of urls) beat(one);
  await room.registry.settled();
  console.log(
    `registered ${urls.length} instances of ${services} services: ${cpu(registering)} ms of CPU, ${since(startedAt)} ms`,
  );
  console.log(`told each worker: ${sent.messages} messages, ${kib(sent.bytes)}`);
  await sleep(12_000);
  const first = { ...sent, ...room.monitor.stats() };
  const usage = process.cpuUsage();
  const from = performance.now();
  let most = 0;
  let late = 0;
  // A slice of the heartbeats every tenth of a second.
  const slices = heartbeatMs / 100;
  for (let tick = 0; performance.now() - from < seconds * 1_000; tick++) {
    for (let at = tick % slices; at < urls.length; at += slices) beat(urls[at]);
    const askedAt = performance.now();
    await sleep(100);
    late = Math.max(late, performance.now() - askedAt - 100);
    most = Math.max(most, memory());
  }
  const took = performance.now() - from;
  const spent = cpu(usage);
  const stats = room.monitor.stats();
  const probes = stats.probes - first.probes;
  console.log(
    `${(took / 1_000).toFixed(0)} s: ${(probes / (took / 1_000)).toFixed(0)} probes/s, ${stats.failures} failed, ${stats.untried} not tried`,
  );
  console.log(
    `CPU: ${((spent / took) * 100).toFixed(1)} % of a core, ${((spent / probes) * 1_000).toFixed(0)} µs a probe with its share of heartbeats`,
  );
  console.log(
    `memory: ${mib(before.rss)} before, ${mib(most)} at most, ${mib(held() - before.held)} of it for them; longest wait of the event loop ${late.toFixed(0)} ms`,
  );
  console.log(
    `told each worker meanwhile: ${sent.messages - first.messages} messages, ${sent.flips - first.flips} flips`,
  );
  console.log(`healthy: ${room.registry.list().filter(({ status }) => status === 'Healthy').length} of ${urls.length}`);
  const dying = performance.now();
  listener.kill('SIGKILL');
  const isOut = () => room.registry.list().every(({ status }) => status === 'Unreachable');
  while (!isOut() && performance.now() - dying < 60_000) await sleep(250);
  console.log(
    `all killed: all are out after ${(since(dying) / 1_000).toFixed(1)} s, in ${sent.messages - first.messages} messages`,
  );
  await room.stop();
  await database.close();
}

function memory(): number {
  return process.memoryUsage.rss();
}

/** What is really in use, bytes. */
function held(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function cpu(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from);
  return Math.round((user + system) / 1_000);
}

function since(at: number): number {
  return Math.round(performance.now() - at);
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}

function kib(bytes: number): string {
  return `${Math.round(bytes / 1_024)} KiB`;
}
