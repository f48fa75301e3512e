import { type CertificateEvent, changeEvent, type HealthEvent } from '../src/admin/event-types.ts';
import type { EventHub } from '../src/admin/events.ts';
import type { ManagerEvent } from '../src/certs/manager-types.ts';
import type { AddressFlip } from '../src/services/pool-health.ts';

/** Tells a hub what happens in the rooms of a server. */
export interface Emitters {
  readonly changed: (change: Parameters<typeof changeEvent>[0]) => void;
  readonly flipped: (flip: AddressFlip) => void;
  /** What is stored at a start is no news: to be asked only for what comes after `begin`. */
  readonly certificate: (event: ManagerEvent) => void;
  begin(): void;
}

export function createEmitters(hub: EventHub): Emitters {
  /** Serial numbers by id: tells a renewal from the first one, and one's own from what another server has told of. */
  const serials = new Map<string, string>();
  let begun = false;
  return {
    changed: (change) => hub.emit('change', changeEvent(change)),
    flipped({ address, before, state, reason, owners }) {
      hub.emit('health', { address, state, before, reason, owners } satisfies HealthEvent);
    },
    certificate(event) {
      const known = event.type === 'saved' ? serials.get(event.certificate.id) : undefined;
      if (event.type === 'saved') serials.set(event.certificate.id, event.certificate.serial);
      if (event.type === 'removed') serials.delete(event.id);
      if (!begun || (event.type === 'saved' && known === event.certificate.serial)) return;
      hub.emit('certificate', certificateEvent(event, known !== undefined));
    },
    begin() {
      begun = true;
    },
  };
}

/** Never the certificate itself: it holds the private key. */
function certificateEvent(event: ManagerEvent, isKnown: boolean): CertificateEvent {
  if (event.type === 'removed') return { id: event.id, change: 'removed' };
  if (event.type === 'failed') {
    const { id, failure, nextTryAt } = event;
    return { id, change: 'failed', error: failure.message, ...(nextTryAt > 0 && { nextTryAt: rfc3339(nextTryAt) }) };
  }
  const { id, names, issuer, notAfter, source } = event.certificate;
  const change = source === 'saved' ? 'saved' : isKnown ? 'renewed' : 'issued';
  return { id, change, names, issuer, notAfter: rfc3339(notAfter) };
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
