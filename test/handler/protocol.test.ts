import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type HandlerTicket, readTicket, writeTicket } from '../../src/handler/protocol.ts';

const protocol = suite('handler protocol');

protocol('a ticket comes back as it was', () => {
  for (const clientIp of ['127.0.0.1', '::1', '']) {
    const ticket: HandlerTicket = { number: 7, worker: 'w1-0.sock', scheme: 'https', clientIp, requestId: 'a-b' };
    assert.equal(readTicket(writeTicket(ticket)), ticket);
  }
});

protocol('what is none is refused', () => {
  for (const text of ['', '7', '7 w http 1.2.3.4', '7 w ftp 1.2.3.4 id']) assert.is(readTicket(text), undefined, text);
});

protocol.run();
