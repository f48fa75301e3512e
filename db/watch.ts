import { storeError } from './failure.ts';

/** How often the stored revision is asked for, ms; after errors ever more slowly. */
const periodMs = 500;
const longestPeriodMs = 4_000;

export interface Watch {
  /** Asks for the stored revision. */
  read(): Promise<number>;
  /** The revision that this server has. */
  known(): number;
  /** Called when they differ; the next look waits for it. */
  onRevision(revision: number): Promise<void>;
  /** Called at the first of a row of failures; this server goes on with what it has. */
  onError(error: Error): void;
}

/** Watches a shared database for what other servers change. Returns the function that stops it. */
export function watchRevision({ read, known, onRevision, onError }: Watch): () => void {
  let delayMs = periodMs;
  let failed = false;
  let stopped = false;
  let timer: NodeJS.Timeout;

  async function look(): Promise<void> {
    try {
      const revision = await read();
      if (!stopped && revision !== known()) await onRevision(revision);
      delayMs = periodMs;
      failed = false;
    } catch (error) {
      if (!failed && !stopped) onError(storeError(error, 'watched'));
      failed = true;
      delayMs = Math.min(delayMs * 2, longestPeriodMs);
    }
    if (!stopped) schedule();
  }

  function schedule(): void {
    timer = setTimeout(look, delayMs);
    // A watch alone keeps no process alive.
    timer.unref();
  }

  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
