import { randomFillSync } from 'node:crypto';
import type tls from 'node:tls';

/*
 * Session tickets under several keys. Node's public API knows one key a context, and gives a client of TLS 1.3 that resumes
 * no new ticket, so that its next connection but one is a full handshake again. The callback that it has inside does better,
 * and costs a few microseconds a ticket: only handshakes that bring one of our tickets go by it.
 */

/** Bytes of a session ticket key: a name, a MAC key and a cipher key of 16 each. */
export const ticketKeyBytes = 48;
const partBytes = 16;

/** Has a context open tickets under any of the keys there are when it does, and seal with the first. */
export type OpenTickets = (context: tls.SecureContext, keys: () => readonly Buffer[]) => void;

/** How that is done; null where it can't be, as by default: then tickets of older keys lead to a full handshake. */
export const tickets: { open: OpenTickets | null } = { open: null };

/** What the callback answers: 1 with this key, 2 and seal a new one, 0 not at all; MAC key, cipher key, name, first block. */
type KeyChoice = readonly [number, Buffer, Buffer, Buffer, Buffer];

interface NativeContext {
  onticketkeycallback: (name: Buffer, iv: Buffer, sealing: boolean) => KeyChoice;
  enableTicketKeyCallback?(): void;
}

/** The executable's way: it brings the Node that this is tested with. */
export const openByCallback: OpenTickets = (context, keys) => {
  const native = context.context as NativeContext;
  if (typeof native.enableTicketKeyCallback !== 'function') return;
  native.onticketkeycallback = (name, iv, sealing) => {
    const [newest] = keys();
    if (sealing) return choice(1, newest, randomFillSync(Buffer.allocUnsafe(partBytes)));
    const key = keys().find((each) => each.compare(name, 0, partBytes, 0, partBytes) === 0);
    return key === undefined ? choice(0, newest, iv) : choice(2, key, iv);
  };
  native.enableTicketKeyCallback();
};

function choice(what: number, key: Buffer, iv: Buffer): KeyChoice {
  const name = key.subarray(0, partBytes);
  return [what, key.subarray(partBytes, 2 * partBytes), key.subarray(2 * partBytes), name, iv];
}

/** A key's name as `ClientHello.ticketKeys` has it. */
export function ticketKeyName(key: Buffer): string {
  return key.toString('hex', 0, partBytes);
}
