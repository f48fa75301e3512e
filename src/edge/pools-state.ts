import type { ServiceState } from '../core/pool-types.ts';
import type { PoolsChange, ToWorker } from './messages.ts';

/** Services sent in one message: a worker that takes in many answers requests between two of them. */
const partServices = 250;

type PoolsMessage = ToWorker & { type: 'pools' };

const nothing: PoolsChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };

/** What is known of services and instances now, kept by the main process so that a worker which starts later gets all of it. */
export class PoolsState {
  private readonly services = new Map<string, ServiceState>();
  private readonly down = new Set<string>();
  private number = 0;
  /** Which ejections are still on, for a worker that starts: `[key, ejection]` with what is left of it. */
  ejections: () => PoolsChange['ejected'] = () => [];

  /** Takes a change in. Returns its number, and the messages that tell of it. */
  apply(change: Partial<PoolsChange>): { number: number; messages: PoolsMessage[] } {
    const { services = [], gone = [], down = [], up = [] } = change;
    for (const slug of gone) this.services.delete(slug);
    for (const service of services) this.services.set(service.slug, service);
    for (const key of up) this.down.delete(key);
    for (const key of down) this.down.add(key);
    this.number++;
    return { number: this.number, messages: [...this.parts({ ...nothing, ...change }, false)] };
  }

  /** All of it. */
  whole(): Iterable<PoolsMessage> {
    const services = [...this.services.values()];
    return this.parts({ ...nothing, services, down: [...this.down], ejected: this.ejections() }, true);
  }

  private *parts(change: PoolsChange, whole: boolean): Iterable<PoolsMessage> {
    const { services } = change;
    // Only the last part is numbered: having that one means having all.
    let from = 0;
    for (; services.length - from > partServices; from += partServices) {
      const part = services.slice(from, from + partServices);
      yield { type: 'pools', number: -1, whole: whole && from === 0, change: { ...nothing, services: part } };
    }
    const last = { ...change, services: services.slice(from) };
    yield { type: 'pools', number: this.number, whole: whole && from === 0, change: last };
  }
}
