import { Agent } from 'node:http';
import { closeLater } from '../helpers/cleanup.ts';
import { sleep } from '../helpers/wait.ts';
import { get } from './oo.ts';

/** One request of a load: when (performance.now) and how it ended. */
export interface Sample {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly fresh: boolean;
  /** 0 when there was no response. */
  readonly status: number;
  readonly text: string;
  /** The code of the error, or ''. */
  readonly error: string;
}

export interface Load {
  /** Lets what runs end. @returns every request, by its start */
  stop(): Promise<Sample[]>;
}

const tickMs = 10;
/** A machine that stands still for a moment must not lead to a crowd of connections that no app's backlog holds. */
const maxRunning = 60;
/** A machine that is busy with other things may stand still for seconds. */
const patienceMs = 20_000;

/** Sends so many requests a second, every third over a connection of its own, the others over kept ones. */
export function startLoad(port: number, perSecond: number, host = 'localhost', path = '/'): Load {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 50 });
  const samples: Sample[] = [];
  const running = new Set<Promise<void>>();
  const beganAt = performance.now();
  let sent = 0;

  async function one(fresh: boolean): Promise<void> {
    const startedAt = performance.now();
    let how: { status: number; text: string; error: string };
    try {
      const { status, text } = await get(port, path, { host, agent: fresh ? false : agent, ms: patienceMs });
      how = { status, text, error: '' };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      how = { status: 0, text: '', error: code ?? message };
    }
    samples.push({ startedAt, endedAt: performance.now(), fresh, ...how });
  }

  const timer = setInterval(() => {
    const due = ((performance.now() - beganAt) * perSecond) / 1000;
    for (; sent < due; sent++) {
      if (running.size >= maxRunning) continue;
      const promise: Promise<void> = one(sent % 3 === 0).finally(() => running.delete(promise));
      running.add(promise);
    }
  }, tickMs);
  // A test that fails before its `stop` would go on for ever.
  closeLater({ close: () => clearInterval(timer) });

  return {
    async stop() {
      clearInterval(timer);
      while (running.size > 0) await Promise.race([Promise.all(running), sleep(100)]);
      agent.destroy();
      return samples.sort((a, b) => a.startedAt - b.startedAt);
    },
  };
}
