import type { FromWorker } from './messages.ts';

/** A worker that has not answered by then is left out. */
const patienceMs = 2_000;

/** What workers answer to a question that has a number. */
export type WorkerAnswer = FromWorker & { readonly type: 'figures' | 'recent' };

/** The main process's questions to its workers that wait for their answers. */
export class WorkerAnswers {
  private readonly waiting = new Map<number, (answer: WorkerAnswer) => void>();
  private last = 0;

  /** @param post sends the question with this number @returns undefined: no answer came in time */
  ask(post: (id: number) => void): Promise<WorkerAnswer | undefined> {
    const id = ++this.last;
    return new Promise((resolve) => {
      const done = (answer?: WorkerAnswer) => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(done, patienceMs).unref();
      this.waiting.set(id, done);
      post(id);
    });
  }

  /** An answer has come; one that nobody waits for any more is none. */
  take(answer: WorkerAnswer): void {
    this.waiting.get(answer.id)?.(answer);
  }
}
