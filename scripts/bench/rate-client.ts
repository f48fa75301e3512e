// A process of its own, on the load's core: sends GETs at an even rate, however slowly they are answered, over a bounded number of kept
// connections, and says how long each took, counted from when it was due, and which instance answered it (its body).
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { RateOrder, RateResult } from './slow.ts';

const order = JSON.parse(readFileSync(process.argv[2], 'utf8')) as RateOrder;
const agent = new http.Agent({ keepAlive: true, maxSockets: order.connections });
const { port, path, host } = order;
const [latenciesMs, instances, errors]: [number[], Record<string, number>, Record<string, number>] = [[], {}, {}];
const all = order.seconds * order.perSecond;
let [sent, ended] = [0, 0];

function count(what: Record<string, number>, name: string): void {
  what[name] = (what[name] ?? 0) + 1;
}

function end(): void {
  if (++ended < all) return;
  const result: RateResult = { latenciesMs, instances, errors };
  console.log(`BENCH ${JSON.stringify(result)}`);
  process.exit();
}

function send(dueAt: number): void {
  const request = http.get({ agent, host: '127.0.0.1', port, path, headers: { host }, timeout: 10_000 }, (response) => {
    let body = '';
    response.setEncoding('latin1').on('data', (text) => (body += text));
    response.on('end', () => {
      latenciesMs.push(performance.now() - dueAt);
      if (response.statusCode === 200) count(instances, body);
      else count(errors, `status ${response.statusCode}`);
    });
  });
  request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
  request.on('error', (error) => count(errors, error.message));
  request.on('close', end);
}

const startedAt = performance.now();
const everyMs = 1000 / order.perSecond;
const timer = setInterval(() => {
  const now = performance.now();
  for (; sent < all && startedAt + sent * everyMs <= now; sent++) send(startedAt + sent * everyMs);
  if (sent === all) clearInterval(timer);
}, 1);
