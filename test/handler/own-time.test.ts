import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OwnTime } from '../../src/handler/own-time.ts';
import { sleep, until } from '../helpers/wait.ts';

const ownTime = suite('own time');

ownTime('is over when it is used up', async () => {
  let over = 0;
  new OwnTime(20, () => over++);
  await until(() => over === 1, 'the end of its time');
});

ownTime('stands still while others are at work, and then goes on', async () => {
  let over = 0;
  const time = new OwnTime(50, () => over++);
  time.stop();
  time.stop();
  await sleep(120);
  time.goOn();
  await sleep(80);
  assert.is(over, 0);
  time.goOn();
  await until(() => over === 1, 'the end of its time');
});

ownTime('is never over once it has ended', async () => {
  let over = 0;
  const time = new OwnTime(20, () => over++);
  time.stop();
  time.end();
  time.goOn();
  await sleep(60);
  assert.is(over, 0);
});

ownTime.run();
