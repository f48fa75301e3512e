import type { EventHub, ServerEvent } from './events.ts';

/** The last events are kept in memory, for clients that come back. */
const defaultKept = 1_000;

/** An event with its place. */
export interface NumberedEvent extends ServerEvent {
  /** `1763888400000-12`: of which start of the server, and the how manieth since. */
  readonly id: string;
}

export interface EventRing {
  /** Those after an id, as far back as they are kept; of an earlier start, or one that nobody knows: all that are kept. */
  after(id: string): readonly NumberedEvent[];
  /** @param onStop told when there will be no more @returns ends it */
  listen(listener: (event: NumberedEvent) => void, onStop?: () => void): () => void;
  /** Who follows is let go; who comes later is told at once. */
  stop(): void;
}

/**
 * Numbers a hub's events, and keeps the last ones.
 * @param start says which start of the server this is: no two have the same
 */
export function createEventRing(hub: EventHub, start: string, kept = defaultKept): EventRing {
  const events: NumberedEvent[] = [];
  const listeners = new Map<(event: NumberedEvent) => void, () => void>();
  let stopped = false;
  let count = 0;
  const end = hub.listen((event) => {
    count += 1;
    const numbered = { ...event, id: `${start}-${count}` };
    events.push(numbered);
    if (events.length > kept) events.shift();
    for (const listener of [...listeners.keys()]) listener(numbered);
  });
  return {
    after(id) {
      const [of, number] = id.split('-');
      const seen = of === start && /^\d{1,15}$/.test(number ?? '') ? Number(number) : 0;
      // The last of them has the number `count`.
      return events.slice(Math.max(0, events.length - Math.max(0, count - seen)));
    },
    listen(listener, onStop = () => {}) {
      if (stopped) queueMicrotask(onStop);
      else listeners.set(listener, onStop);
      return () => listeners.delete(listener);
    },
    stop() {
      end();
      stopped = true;
      const followers = [...listeners.values()];
      listeners.clear();
      for (const onStop of followers) onStop();
    },
  };
}
