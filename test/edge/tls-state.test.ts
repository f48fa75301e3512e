import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Challenge, ServedCertificate } from '../../src/certs/types.ts';
import { Asking } from '../../src/edge/asking.ts';
import type { Question } from '../../src/edge/messages.ts';
import { TlsState } from '../../src/edge/tls-state.ts';

const certificate = (id: string): ServedCertificate => ({
  id,
  names: [id],
  chain: `chain of ${id}`,
  key: `key of ${id}`,
});
const challenge: Challenge = { type: 'http-01', name: 'a.test', token: 'T', content: 'T.x' };

const tlsState = suite('what TLS works with');

tlsState('a change is one message, and a worker that starts later gets the sum', () => {
  const state = new TlsState();
  const first = state.apply({ save: [certificate('a'), certificate('b')], ticketKeys: ['k1'] });
  const second = state.apply({ remove: ['a'], challenges: [challenge] });
  assert.is(first.messages.length, 1);
  assert.ok(second.number > first.number);
  const whole = [...state.whole()];
  assert.is(whole.length, 1);
  assert.is(whole[0].number, second.number);
  assert.equal(whole[0].change.save, [certificate('b')]);
  assert.equal(whole[0].change.challenges, [challenge]);
  assert.equal(whole[0].change.ticketKeys, ['k1']);
  state.apply({ endedChallenges: ['http-01 T'] });
  assert.equal([...state.whole()][0].change.challenges, []);
});

tlsState('what the database knows besides stays in the main process', () => {
  const state = new TlsState();
  const kept = { ...certificate('a'), issuer: 'E6', serial: '1' };
  const { messages } = state.apply({ save: [kept] });
  assert.equal(Object.keys(messages[0].change.save[0]), ['id', 'names', 'chain', 'key']);
});

tlsState('many certificates go in parts, of which the last has the number', () => {
  const state = new TlsState();
  const save = Array.from({ length: 1_001 }, (_, i) => certificate(`host${i}`));
  const { number, messages } = state.apply({ save, remove: ['x'], ticketKeys: ['k'] });
  assert.is(messages.length, 5);
  assert.equal(
    messages.map((message) => message.number),
    [-1, -1, -1, -1, number],
  );
  assert.equal(
    messages.flatMap((message) => message.change.save.map(({ id }) => id)),
    save.map(({ id }) => id),
  );
  assert.equal(
    messages.map((message) => message.change.remove.length),
    [0, 0, 0, 0, 1],
  );
});

tlsState('a worker asks the same thing once at a time', async () => {
  const sent: [number, Question][] = [];
  const asking = new Asking((id, question) => sent.push([id, question]));
  const answers = [
    asking.ask({ what: 'http-01', token: 'T' }),
    asking.ask({ what: 'http-01', token: 'T' }),
    asking.ask({ what: 'tls-alpn-01', name: 'a.test' }),
  ];
  assert.is(sent.length, 2);
  asking.answer(sent[0][0], true);
  asking.answer(sent[1][0], false);
  asking.answer(99, true);
  assert.equal(await Promise.all(answers), [true, true, false]);
  asking.ask({ what: 'http-01', token: 'T' });
  assert.is(sent.length, 3);
});

tlsState('strangers can not make a worker ask without end', async () => {
  let sent = 0;
  const asking = new Asking(() => sent++);
  for (let i = 0; i < 256; i++) asking.ask({ what: 'http-01', token: `T${i}` });
  assert.is(await asking.ask({ what: 'http-01', token: 'one more' }), false);
  assert.is(sent, 256);
});

tlsState.run();
