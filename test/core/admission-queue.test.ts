import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Waiter, WaitQueue } from '../../src/core/admission-queue.ts';

const queues = suite('wait queue');

function filled(count: number, max = count): { queue: WaitQueue<Waiter>; waiters: Waiter[] } {
  const queue = new WaitQueue<Waiter>(max, 1_000);
  const waiters = Array.from({ length: count }, () => new Waiter());
  for (const [i, waiter] of waiters.entries()) assert.is(queue.push(waiter, i * 10), true);
  return { queue, waiters };
}

const all = (queue: WaitQueue<Waiter>) => {
  const order: Waiter[] = [];
  for (let next = queue.shift(); next !== null; next = queue.shift()) order.push(next);
  return order;
};

queues('put back: it is the first again, also where it was alone, and has kept its time', () => {
  for (const count of [1, 3]) {
    const { queue, waiters } = filled(count);
    const first = queue.shift() as Waiter;
    queue.putBack(first);
    assert.is(queue.size, count);
    assert.throws(() => queue.putBack(first), 'in a queue already');
    assert.is(queue.waitedMs(100), 100);
    assert.is(queue.shiftExpired(999), null);
    assert.equal(all(queue), waiters);
    assert.is(queue.size, 0);
  }
});

queues('again: over the limit, at the end, with the time that it had', () => {
  const { queue, waiters } = filled(2);
  const first = queue.shift() as Waiter;
  queue.max = 1;
  assert.is(queue.push(first, 500), false);
  assert.is(queue.push(first, 500, true), true);
  assert.is(first.since, 0);
  assert.equal(all(queue), [waiters[1], waiters[0]]);
});

queues('the first that fits, and no further than it may look', () => {
  const { queue, waiters } = filled(4);
  assert.is(
    queue.shiftWhere((waiter) => waiter === waiters[2], 2),
    null,
  );
  assert.is(
    queue.shiftWhere((waiter) => waiter === waiters[2], 3),
    waiters[2],
  );
  assert.is(waiters[2].queue, null);
  assert.equal(all(queue), [waiters[0], waiters[1], waiters[3]]);
  assert.is(
    queue.shiftWhere(() => true, 10),
    null,
  );
});

queues('how long the first has waited', () => {
  const { queue } = filled(2);
  assert.is(queue.waitedMs(50), 50);
  queue.shift();
  assert.is(queue.waitedMs(50), 40);
  queue.shift();
  assert.is(queue.waitedMs(50), 0);
});

queues.run();
