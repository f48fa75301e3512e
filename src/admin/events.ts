/** What `/v1/events` tells of: a change of the configuration, of an instance's health, of a certificate. */
export interface ServerEvent {
  /** `change`, `health`, `certificate`. */
  readonly kind: 'change' | 'health' | 'certificate';
  /** Epoch ms. */
  readonly at: number;
  /** JSON: see the `…Event` types of who emits it. */
  readonly data: object;
}

/** Where what happens in the main process is told, and heard. */
export interface EventHub {
  emit(kind: ServerEvent['kind'], data: object): void;
  /** @returns ends it. A listener that throws is the program's fault, and hurts no other. */
  listen(listener: (event: ServerEvent) => void): () => void;
}

/** @param now epoch ms */
export function createEventHub(now: () => number): EventHub {
  const listeners = new Set<(event: ServerEvent) => void>();
  return {
    emit(kind, data) {
      const event = { kind, at: now(), data };
      for (const listener of listeners) listener(event);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
