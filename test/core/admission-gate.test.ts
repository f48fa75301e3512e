import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Gate, type GateOrder, gateFault, openGate } from '../../src/core/admission-gate.ts';
import { Waiter } from '../../src/core/admission-queue.ts';

const gates = suite('admission gate');
const paused: GateOrder = { ...openGate, state: 'paused', maxWaiting: 3, maxWaitMs: 1_000 };
const stopped: GateOrder = { ...openGate, state: 'stopped', message: 'Back at noon.' };

function pausedGate(count: number, order = paused): { gate: Gate; waiters: Waiter[] } {
  const gate = new Gate();
  gate.obey(order);
  const waiters = Array.from({ length: count }, () => new Waiter());
  for (const waiter of waiters) assert.is(gate.enter(waiter, 0), 'wait');
  return { gate, waiters };
}

gates('is open until it is told otherwise', () => {
  const gate = new Gate();
  assert.equal([gate.stateAt(0), gate.enter(new Waiter(), 0), gate.waiting], ['open', 'go', 0]);
});

gates('paused: requests wait, bounded in number', () => {
  const { gate } = pausedGate(3);
  assert.equal([gate.enter(new Waiter(), 0), gate.waiting, gate.release(0)], ['full', 3, null]);
});

gates('paused: requests wait, bounded in time', () => {
  const { gate, waiters } = pausedGate(1);
  assert.is(gate.refuse(999), null);
  assert.is(gate.refuse(1_000), waiters[0]);
  assert.is(gate.enter(waiters[0], 1_000), 'wait');
});

gates('resumed: all go, in their order, and so does who comes', () => {
  const { gate, waiters } = pausedGate(3);
  gate.obey(openGate);
  assert.is(gate.enter(new Waiter(), 0), 'go');
  assert.equal(
    [0, 1, 2].map(() => waiters.indexOf(gate.release(0) as Waiter)),
    [0, 1, 2],
  );
  assert.is(gate.release(0), null);
});

gates('stopped: those who come and those who wait get the message', () => {
  const { gate, waiters } = pausedGate(2);
  gate.obey(stopped);
  assert.is(gate.enter(new Waiter(), 0), 'stopped');
  assert.is(gate.message, 'Back at noon.');
  assert.equal([gate.release(0), gate.refuse(0), gate.refuse(0), gate.refuse(0)], [null, ...waiters, null]);
});

gates('a client that leaves makes room', () => {
  const { gate, waiters } = pausedGate(3);
  assert.equal([gate.cancel(waiters[1]), gate.cancel(waiters[1])], [true, false]);
  assert.is(gate.enter(new Waiter(), 0), 'wait');
  gate.obey(openGate);
  assert.equal([gate.release(0), gate.release(0)], [waiters[0], waiters[2]]);
});

gates('opens by itself at its time, if it has one', () => {
  const { gate, waiters } = pausedGate(1, { ...paused, until: 500 });
  assert.equal([gate.stateAt(499), gate.release(499)], ['paused', null]);
  assert.equal([gate.stateAt(500), gate.release(500)], ['open', waiters[0]]);
  const forever = pausedGate(1).gate;
  assert.is(forever.stateAt(1e15), 'paused');
});

gates('Retry-After is known where the end is', () => {
  const gate = new Gate();
  assert.is(gate.retryAfter(0, 7), 7);
  gate.obey({ ...stopped, until: 90_500 });
  assert.is(gate.retryAfter(0), 91);
  assert.is(gate.retryAfter(90_499), 1);
  gate.obey({ ...stopped, until: 1e12 });
  assert.is(gate.retryAfter(0), 3_600);
});

gates('a worker has its own part of the line', () => {
  const gate = new Gate();
  gate.obey(paused, 1);
  assert.equal([gate.enter(new Waiter(), 0), gate.enter(new Waiter(), 0)], ['wait', 'full']);
});

const wrong: [field: keyof GateOrder, change: Partial<GateOrder>][] = [
  ['message', { message: 'x'.repeat(1_001) }],
  ['until', { until: -1 }],
  ['until', { until: Number.NaN }],
  ['maxWaiting', { maxWaiting: -1 }],
  ['maxWaiting', { maxWaiting: 100_001 }],
  ['maxWaitMs', { maxWaitMs: 0 }],
  ['maxWaitMs', { maxWaitMs: 600_001 }],
];
for (const [field, change] of wrong) {
  gates(`refuses ${field} ${JSON.stringify(change).slice(0, 40)}`, () => {
    assert.is(gateFault({ ...paused, ...change })?.field, field);
  });
}

gates('takes good orders', () => {
  for (const order of [openGate, paused, stopped]) assert.is(gateFault(order), undefined);
});

gates('called to ask again: they keep their time and their order, also over a new limit', () => {
  const { gate, waiters } = pausedGate(3);
  const all = [0, 1, 2].map(() => gate.recall() as Waiter);
  assert.equal(all, waiters);
  assert.is(gate.recall(), null);
  gate.obey({ ...paused, maxWaiting: 1 });
  for (const waiter of all) assert.is(gate.enter(waiter, 600, true), 'wait');
  assert.is(gate.enter(new Waiter(), 600), 'full');
  assert.is(gate.refuse(999), null);
  assert.equal(
    [0, 1, 2].map(() => gate.refuse(1_000)),
    waiters,
  );
});

gates.run();
