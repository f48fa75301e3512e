// npm run bench: oo beside nginx, HAProxy and Caddy, on one core each in turn. docs/bench.md says what it measures and how.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkAlike } from './bench/alike.ts';
import { startWithCertificates } from './bench/certificates.ts';
import { measureEmbedded } from './bench/embedded.ts';
import { makeIdentity } from './bench/identity.ts';
import { measureIdle } from './bench/idle.ts';
import * as loads from './bench/load.ts';
import { type Load, manyHosts, manyNames, measure, type Round } from './bench/load.ts';
import { startOo } from './bench/oo.ts';
import { measureOptions } from './bench/options.ts';
import { DEFAULT_POOL, ONE_TARGET, poolRoutes, poolsOf } from './bench/pool.ts';
import { LOAD_CORE, versionOf } from './bench/process.ts';
import { type Contender, PEERS, type Setup, startPeer, TLS_NAMES } from './bench/proxy.ts';
import {
  type Goal,
  goalsSection,
  type Measured,
  machineSection,
  measuredSection,
  ratios,
  syscallsSection,
  table,
  writeResults,
} from './bench/report.ts';
import { measureServices } from './bench/services.ts';
import { measureSlow, slowRoutes } from './bench/slow.ts';
import { measureStarts } from './bench/start.ts';
import { median, spread } from './bench/stats.ts';
import { countSyscalls, type Syscall } from './bench/syscalls.ts';
import { startUpstream, startWitness, type Upstream } from './bench/upstream.ts';

/** A goal: at most so many times the CPU time of that peer. */
type Ratio = readonly [peer: string, most: number];

/** Loads that all proxies take turns at. */
const COMPARED: readonly (readonly [Load, ...Ratio[]])[] = [
  [loads.SMALL_GET, ['nginx', 1], ['caddy', 0.333]],
  [loads.DOWNLOAD, ['nginx', 1.05]],
  [loads.UPLOAD, ['nginx', 1.1]],
  [loads.TLS_GET, ['nginx', 1.1]],
  [loads.H2_GET, ['nginx', 0.7]],
  [loads.HANDSHAKE, ['nginx', 1.25]],
  [loads.RESUMED, ['nginx', 1.3]],
  [loads.TLS_DOWNLOAD],
  [loads.TLS_UPLOAD],
  [loads.H2_DOWNLOAD],
  [loads.H2_UPLOAD],
];
/** Loads and measures of oo alone. */
const OWN = ['routes', 'certs', 'pool', 'slow', 'options', 'embedded', 'services', 'start'];
const CASES = [...COMPARED.map(([{ id }]) => id), 'memory', 'tls-memory', ...OWN];
/** Routes of the small table and of the large one. */
const FEW = 100;
const MANY = 100_000;
const CERTIFICATES = 10_000;

/** After half as long, V8 still runs the hot path on its middle compiler. */
const WARM_SECONDS = 5;
/** Of a server that another load has warmed up. */
const REWARM_SECONDS = 2;

const HELP = `npm run bench                            all cases, all peers (about 30 minutes; keep the machine quiet)
npm run bench -- --write                 and put the results into docs/bench.md
npm run bench -- --only get,download     only these of ${CASES.join(', ')}
npm run bench -- --peers nginx           only these of ${Object.keys(PEERS).join(', ')}; none: --peers ''
npm run bench -- --rounds 5 --seconds 4  rounds for each proxy, their length
npm run bench -- --oo dist/oo            how to run oo; further words are arguments ('node cli/main.ts')
npm run bench -- --strace                count system calls a request too
npm run bench -- --strict                exit code 1 where a goal is missed`;

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: CASES.join(',') },
    peers: { type: 'string', default: Object.keys(PEERS).join(',') },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    oo: { type: 'string', default: 'dist/oo' },
    strace: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
const only = words(flags.only);
const peers = words(flags.peers);
const [rounds, seconds] = [Number(flags.rounds), Number(flags.seconds)];
const command = flags.oo.split(' ').filter(Boolean);

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}
const complaint = whatIsMissing();
if (complaint) {
  console.error(`bench: ${complaint}`);
  process.exit(2);
}
// This program is part of the load: it must not take time from the proxy's core.
spawnSync('taskset', ['-a', '-cp', LOAD_CORE, `${process.pid}`]);
const dir = mkdtempSync(join(os.tmpdir(), 'oo-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const goals: Goal[] = [];
const sections: string[] = [];
try {
  await bench();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exit(1);
}
process.exit(flags.strict && goals.some((goal) => !(goal.got <= goal.most)) ? 1 : 0);

function whatIsMissing(): string | undefined {
  const wrong = only.find((name) => !CASES.includes(name)) ?? peers.find((name) => !PEERS[name]);
  if (wrong) return `there is no ${wrong}; see --help`;
  if (!(rounds >= 1) || !(seconds >= 1)) return '--rounds and --seconds are numbers from 1';
  if (os.cpus().length < 2) return 'this needs two cores: one for the proxy, one for upstream and load';
  if (versionOf([...command, '--version']) === undefined)
    return `${command[0]} cannot be run: npm run build makes dist/oo`;
  const tools: [string, string[], string][] = [
    ['wrk', ['-v'], 'wrk'],
    ['taskset', ['-V'], 'util-linux'],
    ['nginx', ['-v'], 'nginx-light'],
    ['h2load', ['--version'], 'nghttp2-client'],
    ['openssl', ['version'], 'openssl'],
  ];
  if (flags.strace) tools.push(['strace', ['-V'], 'strace']);
  for (const name of peers)
    tools.push([PEERS[name].version[0], PEERS[name].version.slice(1), PEERS[name].debianPackage]);
  const absent = tools.filter(([tool, args]) => versionOf([tool, ...args]) === undefined).map(([, , name]) => name);
  if (absent.length)
    return `apt-get install ${[...new Set(absent)].join(' ')} (and stop the services that this starts)`;
  return undefined;
}

async function bench(): Promise<void> {
  const [upstream, witness] = [await startUpstream(join(dir, 'upstream')), await startWitness()];
  const identity = makeIdentity(join(dir, 'identity'), TLS_NAMES);
  const setup = (name: string): Setup => ({
    identity,
    dir: join(dir, name),
    upstreamPort: upstream.port,
    witnessPort: witness.port,
  });
  const proxies: Contender[] = [];
  const add = async (proxy: Contender): Promise<Contender> => {
    await checkAlike(proxy, witness, identity.cert);
    proxies.push(proxy);
    return proxy;
  };
  const syscalls = async (what: Load, of: readonly Contender[]) => {
    const counted = new Map<string, Syscall[]>();
    for (const proxy of of) counted.set(proxy.name, await countSyscalls(proxy, what, upstream, dir));
    sections.push(syscallsSection(what, counted));
  };
  const compare = async (what: Load, base: string, of: readonly Contender[]): Promise<Measured> => {
    const measured: Measured = {
      what,
      base,
      rounds: await takeTurns(what, of, (proxy, s) => measure(proxy, what, upstream, s, dir)),
    };
    sections.push(measuredSection(measured));
    return measured;
  };

  for (const name of peers) await add(await startPeer(PEERS[name], setup(name)));
  await add(await startOo(command, setup('oo'), 0));
  const versions = proxies.map(({ name, version }) => `${name}: ${version}`);
  for (const [what, ...wanted] of COMPARED) {
    if (!only.includes(what.id)) continue;
    const measured = await compare(what, 'nginx', proxies);
    for (const [peer, most] of wanted) goal(measured, `${what.title}: CPU to ${peer}'s`, peer, most);
    if (flags.strace) await syscalls(what, proxies);
  }
  if (only.includes('memory')) await memory(proxies, false);
  if (only.includes('tls-memory')) await memory(proxies, true);
  for (const proxy of proxies.splice(0)) await proxy.program.stop();

  if (only.includes('routes')) {
    const few = await add(await startOo(command, setup('few'), FEW, `${FEW} routes`));
    const started = performance.now();
    const many = await add(await startOo(command, setup('many'), MANY, `${MANY} routes`));
    const loaded = (performance.now() - started) / 1000;
    // The same server again, asked for each of its hosts: what that costs more is the processor's caches, not the table.
    const all: Contender = { ...many, name: `${MANY} routes, all asked for` };
    const load = (proxy: Contender) => manyHosts(proxy === all ? MANY : FEW);
    const turns = await takeTurns(manyHosts(FEW), [few, many, all], (proxy, s) =>
      measure(proxy, load(proxy), upstream, s, dir),
    );
    const measured: Measured = { what: manyHosts(FEW), base: few.name, rounds: turns };
    sections.push(measuredSection(measured), `Start, save and load of ${MANY} routes took ${loaded.toFixed(1)} s.\n`);
    goal(measured, `${MANY} routes: CPU to that with ${FEW}`, few.name, 1.05, many.name);
    for (const proxy of proxies.splice(0)) await proxy.program.stop();
  }
  if (only.includes('certs')) await certificates(setup, upstream);
  if (only.includes('pool') || only.includes('slow')) await pools(setup('pools'), upstream);
  if (only.includes('options')) {
    const { section, plain } = await measureOptions(command, setup, peers, upstream, dir, takeTurns);
    sections.push(section);
    const what = 'A plain route beside routes with options: CPU to that in a table without';
    goals.push({ what, most: 1.05, got: median(plain), unit: '', digits: 3 });
  }
  if (only.includes('embedded')) sections.push(await measureEmbedded(upstream, dir, takeTurns));
  if (only.includes('services')) sections.push(await measureServices());
  if (only.includes('start')) {
    const times = await measureStarts(command, setup('start'));
    goals.push({
      what: `Start to first served request (${spread(times, 0)})`,
      most: 200,
      got: median(times),
      unit: ' ms',
      digits: 0,
    });
  }
  await upstream.program.stop();
  witness.close();
  finish(versions);
}

/** One warm-up each, then rounds in an order that turns, so that a slow minute of the machine falls on all alike. */
async function takeTurns(
  what: Load,
  proxies: readonly Contender[],
  once: (proxy: Contender, seconds: number) => Promise<Round>,
  warmSeconds = WARM_SECONDS,
): Promise<Map<string, Round[]>> {
  const taken = new Map<string, Round[]>(proxies.map(({ name }) => [name, []]));
  for (const proxy of proxies) await once(proxy, warmSeconds);
  for (let i = 0; i < rounds; i++) {
    const order = [...proxies.slice(i % proxies.length), ...proxies.slice(0, i % proxies.length)];
    if (i % 2 === 1) order.reverse();
    for (const proxy of order) taken.get(proxy.name)!.push(await once(proxy, seconds));
    const figures = [...taken].map(([name, each]) => `${name} ${each.at(-1)!.cpuUs.toFixed(2)}`);
    console.error(`${what.id} ${i + 1}/${rounds}: ${figures.join(', ')} µs a request`);
  }
  return taken;
}

async function certificates(setup: (name: string) => Setup, upstream: Upstream): Promise<void> {
  const one = await startWithCertificates(command, setup('one-certificate'), 1);
  const many = await startWithCertificates(command, setup('certificates'), CERTIFICATES);
  const all: Contender = { ...many.proxy, name: `${many.proxy.name}, all asked for` };
  const [once, each] = [manyNames(one.names), manyNames(many.names)];
  const turns = await takeTurns(once, [one.proxy, many.proxy, all], (proxy, s) =>
    measure(proxy, proxy === all ? each : manyNames([(proxy === one.proxy ? one : many).names[0]]), upstream, s, dir),
  );
  const measured: Measured = { what: once, base: one.proxy.name, rounds: turns };
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  const rows = [one, many].map(({ proxy, startMs, bytes }) => [proxy.name, startMs.toFixed(0), mib(bytes)]);
  sections.push(measuredSection(measured), `${table(['oo with', 'start ms', 'memory MiB'], rows)}\n`);
  const what = `${CERTIFICATES} certificates: CPU of a handshake to that with one`;
  goal(measured, what, one.proxy.name, 1.05, many.proxy.name);
  for (const { proxy } of [one, many]) await proxy.program.stop();
}

async function pools(setup: Setup, upstream: Upstream): Promise<void> {
  const proxy = await startOo(command, setup, 0, 'oo', [...poolRoutes(upstream), ...slowRoutes(upstream)]);
  if (only.includes('pool')) {
    // One server has all routes: what differs between rounds is the host that is asked for.
    for (const { what, contenders, load } of await poolsOf(proxy, upstream)) {
      const once = (each: Contender, s: number) => measure(each, load(each), upstream, s, dir);
      await once(contenders[0], REWARM_SECONDS);
      const turns = await takeTurns(what, contenders, once, REWARM_SECONDS);
      const measured: Measured = { what, base: ONE_TARGET, rounds: turns };
      sections.push(measuredSection(measured));
      if (turns.has(DEFAULT_POOL))
        goal(measured, `${DEFAULT_POOL}: CPU to one target's`, ONE_TARGET, 1.1, DEFAULT_POOL);
    }
  }
  if (only.includes('slow')) sections.push(await measureSlow(proxy, upstream, rounds, seconds, dir));
  await proxy.program.stop();
}

async function memory(proxies: readonly Contender[], secure: boolean): Promise<void> {
  const rows: string[][] = [];
  for (const proxy of proxies) {
    const bytes = await measureIdle(proxy, secure);
    rows.push([proxy.name, (bytes / 1024).toFixed(1)]);
    console.error(`memory: ${proxy.name} ${(bytes / 1024).toFixed(1)} KiB a connection${secure ? ' over TLS' : ''}`);
    if (proxy.name === 'oo' && !secure)
      goals.push({ what: '10,000 idle connections, each', most: 12, got: bytes / 1024, unit: ' KiB', digits: 1 });
  }
  sections.push(
    `### Memory of 10,000 idle ${secure ? 'TLS ' : ''}connections\n\n${table(['proxy', 'KiB a connection'], rows)}\n`,
  );
}

function goal(measured: Measured, what: string, base: string, most: number, name = 'oo'): void {
  if (!measured.rounds.has(base)) return;
  goals.push({ what, most, got: median(ratios(measured, name, base)), unit: '', digits: 3 });
}

function finish(versions: readonly string[]): void {
  const settings = `${rounds} rounds of ${seconds} s for each proxy; load: 64 connections.`;
  const results = [machineSection(versions, settings), goalsSection(goals), ...sections].join('\n');
  console.log(results);
  if (flags.write) writeResults(join(import.meta.dirname, '..', 'docs', 'bench.md'), results);
}
