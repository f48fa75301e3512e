import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEmitters } from '../../cli/server-events.ts';
import { createEventHub, type ServerEvent } from '../../src/admin/events.ts';
import type { Certificate } from '../../src/certs/types.ts';
import { certificateOf } from '../db/open-store.ts';

const emitting = suite("a server's events");

emitting(
  'a certificate is issued, then renewed; what is there at the start, or told twice, is no news; its key never leaves',
  () => {
    const hub = createEventHub(() => 5);
    const told: ServerEvent[] = [];
    hub.listen((event) => told.push(event));
    const emit = createEmitters(hub);
    const saved = (id: string, serial: string, more: Partial<Certificate> = {}) =>
      emit.certificate({ type: 'saved', certificate: certificateOf(id, { serial, ...more }), by: 'issuer' });
    saved('old.test', '1');
    emit.begin();
    saved('old.test', '1');
    saved('old.test', '2');
    saved('new.test', '3');
    saved('own.test', '4', { source: 'saved' });
    const failure = {
      at: 1,
      step: 'order',
      directory: '',
      message: 'no',
      hint: '',
      problem: '',
      retryAfter: 0,
    } as const;
    emit.certificate({ type: 'failed', id: 'bad.test', failure, nextTryAt: 60_000 });
    emit.certificate({ type: 'removed', id: 'new.test' });
    saved('new.test', '5');
    assert.equal(
      told.map(({ data }) => [(data as { id: string }).id, (data as { change: string }).change]),
      [
        ...[
          ['old.test', 'renewed'],
          ['new.test', 'issued'],
          ['own.test', 'saved'],
          ['bad.test', 'failed'],
        ],
        ...[
          ['new.test', 'removed'],
          ['new.test', 'issued'],
        ],
      ],
    );
    assert.equal(told[3].data, {
      id: 'bad.test',
      change: 'failed',
      error: 'no',
      nextTryAt: '1970-01-01T00:01:00.000Z',
    });
    assert.not.match(JSON.stringify(told), /key of|chain of/);
  },
);

emitting.run();
