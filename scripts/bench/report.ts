import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import type { Load, Round } from './load.ts';
import { median, spread } from './stats.ts';
import type { Syscall } from './syscalls.ts';

/** One goal and what came of it. */
export interface Goal {
  readonly what: string;
  readonly most: number;
  readonly got: number;
  readonly unit: string;
  readonly digits: number;
}

/** All rounds of one load: name of the proxy → its rounds, in the order they were run. */
export interface Measured {
  readonly what: Load;
  /** Whose CPU time is 1. */
  readonly base: string;
  readonly rounds: ReadonlyMap<string, readonly Round[]>;
}

/** Ratio of CPU per request of `name` to `base`, one for each round: the two were run seconds apart. */
export function ratios({ rounds }: Measured, name: string, base: string): number[] {
  const other = rounds.get(base) ?? [];
  return (rounds.get(name) ?? []).map((round, i) => round.cpuUs / other[i].cpuUs);
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** What one load cost each proxy. */
export function measuredSection(measured: Measured): string {
  const { what, base, rounds } = measured;
  const bytes = Math.max(what.answerBytes, what.uploadBytes);
  const timed = [...rounds.values()].flat().every(({ p99Ms }) => p99Ms !== undefined);
  const rows = [...rounds].map(([name, each]) => {
    const cpu = each.map((round) => round.cpuUs);
    const ratio = rounds.has(base) ? ratios(measured, name, base) : [];
    return [
      name,
      `${median(cpu).toFixed(2)} (${spread(cpu, 2)})`,
      bytes > 2048 ? (median(cpu) / (bytes / 1024)).toFixed(3) : '',
      ratio.length ? `**${median(ratio).toFixed(3)}** (${spread(ratio, 3)})` : '',
      median(each.map((round) => round.requestsPerSecond)).toFixed(0),
      `${(median(each.map((round) => round.busy)) * 100).toFixed(0)} %`,
      ...(timed ? [median(each.map((round) => round.p99Ms ?? 0)).toFixed(2)] : []),
    ];
  });
  const head = ['proxy', 'CPU µs a request', 'CPU µs a KiB', `to ${base}`, 'requests/s', 'core busy'];
  if (timed) head.push('p99 ms');
  return `### ${what.title}\n\n${table(head, rows)}\n${disturbance(measured)}`;
}

/** A remark where other programs had more than a twentieth of the proxy's core: then the figures are not worth much. */
function disturbance({ rounds }: Measured): string {
  const share = median([...rounds.values()].flat().map((round) => round.others));
  if (share < 0.05) return '';
  return `\n**Not a quiet machine**: other programs used ${(share * 100).toFixed(0)} % of the proxy's core.\n`;
}

/** Wanted and got. */
export function goalsSection(goals: readonly Goal[]): string {
  const rows = goals.map(({ what, most, got, unit, digits }) => [
    what,
    `${most}${unit}`,
    `${got.toFixed(digits)}${unit}`,
    got <= most ? 'met' : '**missed**',
  ]);
  return `### Goals\n\n${table(['goal', 'at most', 'measured', ''], rows)}\n`;
}

/** System calls for each request, one line a proxy. */
export function syscallsSection(what: Load, calls: ReadonlyMap<string, readonly Syscall[]>): string {
  const text = ({ name, perRequest, failed }: Syscall) =>
    `${name} ${perRequest.toFixed(3)}${failed >= 0.01 ? ` (${(failed * 100).toFixed(0)} % fail)` : ''}`;
  const rows = [...calls].map(([name, each]) => [
    name,
    each.reduce((sum, call) => sum + call.perRequest, 0).toFixed(2),
    each.map(text).join(', '),
  ]);
  return `### System calls a request: ${what.title}\n\n${table(['proxy', 'all', 'of which'], rows)}\n`;
}

/** Date, machine and versions. */
export function machineSection(versions: readonly string[], settings: string): string {
  const cpu = os.cpus()[0];
  const memory = (os.totalmem() / 2 ** 30).toFixed(0);
  return `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC. ${os.cpus().length} cores (${cpu.model.trim()}), ${memory} GiB, \
Linux ${os.release()}. ${settings}

${versions.map((version) => `- ${version}`).join('\n')}
`;
}

const BEGIN = '<!-- results: written by `npm run bench -- --write` -->';
const END = '<!-- end of results -->';

/** Puts the results between their marks in a Markdown file, which is otherwise left alone. */
export function writeResults(path: string, results: string): void {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : `# Benchmarks\n\n${BEGIN}\n${END}\n`;
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${path} has lost the marks that its results go between`);
  writeFileSync(path, `${text.slice(0, from + BEGIN.length)}\n\n${results}\n${text.slice(to)}`);
}
