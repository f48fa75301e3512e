import { printable } from './output.ts';
import type { InstanceRow, PoolRow, StatusView } from './status-rates.ts';

/** How much room there is. */
export interface Room {
  /** Characters of a line; Infinity in a pipe. */
  readonly columns: number;
  /** Lines in all; Infinity for everything. */
  readonly lines: number;
  readonly colors: boolean;
}

interface Column<R> {
  readonly head: string;
  readonly cell: (row: R) => string;
  /** Numbers are on the right. */
  readonly right?: true;
  /** It may be cut down to so many characters. */
  readonly least?: number;
}

const poolColumns: readonly Column<PoolRow>[] = [
  { head: 'ROUTE OR SERVICE', cell: ({ name }) => printable(name), least: 16 },
  { head: 'TARGET', cell: ({ target }) => printable(target), least: 10 },
  { head: 'STATE', cell: ({ state }) => printable(state), least: 11 },
  { head: 'REQ/S', cell: ({ requestsPerSecond }) => rateText(requestsPerSecond), right: true },
  { head: 'ERR/S', cell: ({ errorsPerSecond }) => rateText(errorsPerSecond), right: true },
  { head: 'P50', cell: ({ p50Ms }) => latencyText(p50Ms), right: true },
  { head: 'P99', cell: ({ p99Ms }) => latencyText(p99Ms), right: true },
  { head: 'IN FLIGHT', cell: ({ inFlight }) => String(inFlight), right: true },
  { head: 'WAITING', cell: ({ waiting }) => String(waiting), right: true },
];

const instanceColumns: readonly Column<InstanceRow>[] = [
  { head: 'INSTANCE', cell: ({ address }) => printable(address), least: 16 },
  { head: 'OF', cell: ({ pools }) => printable(poolsText(pools)), least: 8 },
  { head: 'SHARE', cell: ({ pools }) => shareText(pools), right: true },
  { head: 'REQ/S', cell: ({ requestsPerSecond }) => rateText(requestsPerSecond), right: true },
  { head: 'FAIL/S', cell: ({ failuresPerSecond }) => rateText(failuresPerSecond), right: true },
  { head: 'IN FLIGHT', cell: ({ inFlight }) => String(inFlight), right: true },
  { head: 'LATENCY', cell: ({ latencyMs }) => latencyText(latencyMs), right: true },
  { head: 'STATE', cell: ({ state, why }) => printable(why === '' ? state : `${state}: ${why}`), least: 11 },
];

/** The lines of `oo status`: sums, routes and services, instances; cut to the room that there is, and it says so. */
export function statusLines(view: StatusView, room: Room): string[] {
  const { pools, instances, quiet } = view;
  const [poolLines, instanceLines] = share(room.lines - 1, [pools.length, instances.length]);
  const lines = [clip(sumText(view), room.columns)];
  if (pools.length === 0 && quiet === 0)
    lines.push('', 'There is no route and no service yet: oo deploy --help, oo route save --help.');
  lines.push(...section(pools, poolColumns, poolLines, room, quiet));
  lines.push(...section(instances, instanceColumns, instanceLines, room));
  return lines;
}

/** A blank line, heads, rows and a note where some are left out: what a section needs beside its rows. */
const extraLines = 3;

/** Room for two sections: each gets what it needs, or half. */
function share(lines: number, [first, second]: readonly [number, number]): [number, number] {
  const rows = Math.max(2, lines - 2 * extraLines);
  if (first + second <= rows) return [first, second];
  const half = Math.max(1, Math.floor(rows / 2));
  const one = Math.min(first, Math.max(half, rows - second));
  return [one, Math.max(1, rows - one)];
}

function section<R extends PoolRow | InstanceRow>(
  rows: readonly R[],
  columns: readonly Column<R>[],
  most: number,
  room: Room,
  quiet = 0,
): string[] {
  if (rows.length + quiet === 0) return [];
  const chosen = choose(rows, most);
  const left = rows.length - chosen.length + quiet;
  const lines = chosen.length === 0 ? [] : ['', ...tableLines(chosen, columns, room)];
  return left === 0 ? lines : [...lines, `… and ${left} more: oo status --all`];
}

/** Those in trouble are not left out for those with more traffic. */
function choose<R extends PoolRow | InstanceRow>(rows: readonly R[], most: number): readonly R[] {
  if (rows.length <= most) return rows;
  const kept = new Set([...rows.filter(isTroubled), ...rows.filter((row) => !isTroubled(row))].slice(0, most));
  return rows.filter((row) => kept.has(row));
}

/** A canary is no trouble, nor is an instance that is not probed or drains. */
function isTroubled({ state }: { readonly state: string }): boolean {
  return !/^(?:ok\b|-|healthy$|unknown$|draining$)/.test(state);
}

function tableLines<R extends PoolRow | InstanceRow>(
  rows: readonly R[],
  columns: readonly Column<R>[],
  { columns: width, colors }: Room,
): string[] {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)));
  const widths = fit(
    columns.map(({ head }, i) => cells.reduce((most, row) => Math.max(most, row[i].length), head.length)),
    columns,
    width,
  );
  const line = (row: readonly string[]) =>
    clip(
      row
        .map((cell, i) => pad(clip(cell, widths[i]), widths[i], columns[i].right))
        .join('  ')
        .trimEnd(),
      width,
    );
  const paint = (text: string, row: R) => (colors ? painted(text, row.state) : text);
  return [
    colors ? `\x1b[1m${line(columns.map(({ head }) => head))}\x1b[0m` : line(columns.map(({ head }) => head)),
    ...cells.map((row, i) => paint(line(row), rows[i])),
  ];
}

/** Takes from the widest that may be cut until all fit. */
function fit<R>(widths: readonly number[], columns: readonly Column<R>[], most: number): number[] {
  const fitted = [...widths];
  const total = () => fitted.reduce((sum, width) => sum + width, 2 * (fitted.length - 1));
  for (let over = total() - most; over > 0; over = total() - most) {
    const can = columns.map(({ least }, i) => (least === undefined ? 0 : Math.max(0, fitted[i] - least)));
    const widest = can.indexOf(Math.max(...can));
    if (can[widest] === 0) return fitted;
    fitted[widest] -= Math.min(over, Math.max(1, Math.ceil(can[widest] / 2)));
  }
  return fitted;
}

function pad(cell: string, width: number, right: true | undefined): string {
  return right ? cell.padStart(width) : cell.padEnd(width);
}

function clip(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text;
}

const red = /^(?:no instance|panic|unreachable|breaker open)/;

function painted(text: string, state: string): string {
  if (red.test(state)) return `\x1b[31m${text}\x1b[0m`;
  return isTroubled({ state }) || state === 'unknown' ? `\x1b[33m${text}\x1b[0m` : text;
}

function sumText({ at, seconds, revision, workers, pools }: StatusView): string {
  // A request through a route to a service is in the figures of both.
  const services = new Set(pools.filter(({ kind }) => kind === 'service').map(({ name }) => `service://${name}`));
  const counted = pools.filter(({ kind, target }) => kind === 'service' || !services.has(target));
  const sum = (field: 'requestsPerSecond' | 'errorsPerSecond' | 'retriesPerSecond') =>
    seconds === 0 ? null : counted.reduce((total, row) => total + (row[field] ?? 0), 0);
  const inFlight = counted.reduce((total, row) => total + row.inFlight, 0);
  return [
    `${at.slice(11, 19)} UTC`,
    `${rateText(sum('requestsPerSecond'))} requests/s`,
    `${rateText(sum('errorsPerSecond'))} errors/s`,
    `${rateText(sum('retriesPerSecond'))} retries/s`,
    `${inFlight} in flight`,
    `${workers} worker${workers === 1 ? '' : 's'}`,
    `revision ${revision}`,
  ].join(' · ');
}

/** `0`, `<0.1`, `0.4`, `12`, `1234`. */
export function rateText(rate: number | null): string {
  if (rate === null) return '-';
  if (rate === 0 || rate >= 9.95) return String(Math.round(rate));
  return rate < 0.05 ? '<0.1' : rate.toFixed(1);
}

/** `0.3 ms`, `12 ms`, `1.2 s`. */
export function latencyText(ms: number | null): string {
  if (ms === null) return '-';
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** `web`, `app.example.com +2`. */
function poolsText(pools: InstanceRow['pools']): string {
  if (pools.length === 0) return '-';
  const name = pools[0].name.replace(/^(?:route|service) /, '');
  return pools.length === 1 ? name : `${name} +${pools.length - 1}`;
}

/** Of the first of its pools. */
function shareText(pools: InstanceRow['pools']): string {
  const share = pools[0]?.share ?? -1;
  return share < 0 ? '-' : `${Math.round(share * 100)}%`;
}
