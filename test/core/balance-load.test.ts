import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createLoad,
  decayMs,
  expectedLatency,
  isCheaper,
  type Load,
  observeCancel,
  observeFailure,
  observeReply,
  observeStart,
  setHealthy,
} from '../../src/core/balance-load.ts';

const load = suite('balance load');

const start = 1_700_000_000_000;

/** An instance that has answered so, one request after the other, the last one at `start`. */
function known(...latencies: number[]): Load {
  const each = createLoad(true, 0);
  latencies.forEach((latencyMs, i) => {
    const now = start - latencies.slice(i + 1).reduce((sum, later) => sum + later, 0);
    observeStart(each, now - latencyMs);
    observeReply(each, latencyMs, now);
  });
  return each;
}

const cheaper = (second: Load, first: Load, now = start) => isCheaper(second, first, 1, 1, false, now);

load('a peak counts when it is confirmed; alone it at most doubles the average', () => {
  assert.is(known(20).latencyMs, 20);
  assert.is(known(20, 3_000).latencyMs, 41);
  assert.is(known(20, 3_000, 3_000).latencyMs, 3_000);
  assert.is(known(20, 30).latencyMs, 30);
});

load('a pause that meets many requests at once is one peak', () => {
  const each = known(1, 1);
  for (let i = 0; i < 20; i++) observeStart(each, start);
  for (let i = 0; i < 20; i++) observeReply(each, 40, start + 40);
  assert.is(each.latencyMs, 3);
  observeStart(each, start + 40);
  observeReply(each, 40, start + 80);
  assert.is(each.latencyMs, 40, 'what was sent after it confirms it');
});

load('the first answer of all may be slow for reasons of its own', () => {
  const each = createLoad(true, 0);
  for (let i = 0; i < 3; i++) observeStart(each, start - 80);
  for (let i = 0; i < 3; i++) observeReply(each, 80 - i, start);
  assert.ok(expectedLatency(each, start + 1_000) < 30);
  observeStart(each, start);
  observeReply(each, 2, start + 2);
  assert.is(each.latencyMs, 2);
});

load('short latencies are forgotten sooner, and one alone sooner still', () => {
  const later = start + 1_000;
  assert.ok(expectedLatency(known(10, 10), later) < 3);
  assert.ok(expectedLatency(known(100, 100), later) > 80);
  assert.ok(expectedLatency(known(100), later) < 60);
});

load('a lower latency counts by the time that has passed', () => {
  const each = known(500, 500);
  observeStart(each, start);
  observeReply(each, 0, start);
  assert.is(each.latencyMs, 500);
  observeStart(each, start);
  observeReply(each, 0, start + decayMs);
  assert.ok(Math.abs(each.latencyMs - 500 / Math.E) < 0.01);
});

load('an idle instance is forgiven with time, and gives itself away with one request', () => {
  const [slow, fast] = [known(500, 500), known(5, 5)];
  assert.not(cheaper(slow, fast));
  assert.ok(cheaper(fast, slow));
  const later = start + 10 * decayMs;
  assert.not(cheaper(fast, slow, later));
  observeStart(slow, later);
  observeReply(slow, 500, later + 500);
  assert.is(slow.latencyMs, 500);
});

load('a hung instance is not forgiven: it is as slow as it has been silent', () => {
  const [hung, fine] = [known(5), known(50)];
  observeStart(hung, start);
  assert.is(expectedLatency(hung, start), 5);
  assert.is(expectedLatency(hung, start + 2_000), 2_000);
  assert.not(cheaper(hung, fine, start + 2_000));
  assert.ok(cheaper(fine, hung, start + 2_000));
  observeReply(hung, 2_000, start + 2_000);
  assert.is(hung.waiting, 0);
});

load('silence is counted from the last reply, or the first request after none', () => {
  const each = known(5);
  observeStart(each, start + 60_000);
  observeStart(each, start + 60_100);
  assert.is(expectedLatency(each, start + 60_300), 300);
  observeReply(each, 300, start + 60_300);
  assert.is(each.waiting, 1);
  assert.ok(expectedLatency(each, start + 60_300) <= 11);
});

load('differences that are noise decide nothing', () => {
  assert.not(cheaper(known(5), known(9)));
  assert.not(cheaper(known(0), known(2)));
  assert.ok(isCheaper(known(9), known(5), 1, 2, true, start), 'then what the loads say holds');
  assert.not(cheaper(known(0.3), known(8)), 'a machine that has something else to do');
  assert.ok(cheaper(known(5), known(14)));
});

load('latency is weighed against load', () => {
  assert.ok(isCheaper(known(50), known(5), 1, 12, true, start));
  assert.not(isCheaper(known(50), known(5), 1, 8, true, start));
});

load('fast failures do not look fast', () => {
  const [failing, fine] = [known(1), known(12)];
  assert.ok(cheaper(failing, fine));
  for (let i = 0; i < 10; i++) {
    observeStart(failing, start);
    observeFailure(failing, start);
  }
  assert.not(cheaper(failing, fine, start));
  assert.ok(cheaper(fine, failing, start));
  assert.not(cheaper(fine, failing, start + 10 * decayMs), 'and are forgiven with time');
  for (let i = 0; i < 40; i++) {
    observeStart(failing, start);
    observeReply(failing, 1, start);
  }
  assert.ok(failing.failureShare < 0.001);
});

load('failures count for a cold instance, too', () => {
  const cold = createLoad(true, 0);
  observeStart(cold, start);
  observeFailure(cold, start);
  assert.ok(cheaper(known(300), cold));
  assert.not(cheaper(cold, known(300)));
});

load('a client that leaves changes nothing', () => {
  const [each, same] = [known(20), known(20)];
  observeStart(each, start);
  observeCancel(each);
  assert.equal({ ...each, waitingSince: 0 }, { ...same, waitingSince: 0 });
  observeCancel(each);
  assert.is(each.waiting, 0);
});

load('a cold instance is as good as any, one request at a time', () => {
  const [cold, colder, fast] = [createLoad(true, 0), createLoad(true, 0), known(1)];
  assert.ok(isCheaper(cold, fast, 1, 2, true, start));
  assert.ok(isCheaper(fast, cold, 1, 2, true, start));
  observeStart(cold, start);
  assert.not(isCheaper(cold, fast, 1, 9, true, start));
  assert.ok(isCheaper(fast, cold, 9, 1, false, start));
  assert.ok(isCheaper(cold, colder, 1, 2, true, start), 'where all are cold, the loads decide');
});

load('coming up makes it cold and start slowly; no change is no news', () => {
  const each = known(500, 500);
  assert.not(setHealthy(each, true, start));
  assert.is(each.upSince, 0);
  assert.ok(setHealthy(each, false, start));
  assert.ok(setHealthy(each, true, start + 1));
  assert.is(each.upSince, start + 1);
  assert.is(expectedLatency(each, start + 1), -1);
});

load.run();
