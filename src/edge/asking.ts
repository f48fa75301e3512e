import type { Question } from './messages.ts';

/** How long the main process may take to answer: as long as a client waits for a handshake, and a CA for a certificate. */
const patienceMs = 30_000;
/** Questions under way; more are answered no, so that strangers can't fill the memory by asking. */
const maxQuestions = 256;

/** A worker's questions to its main process. */
export class Asking {
  private readonly waiting = new Map<number, (yes: boolean) => void>();
  private readonly same = new Map<string, Promise<boolean>>();
  private readonly send: (id: number, question: Question) => void;
  private next = 0;

  constructor(send: (id: number, question: Question) => void) {
    this.send = send;
  }

  /** Whether it is worth to look again. No answer in time is a no. The same question is asked once at a time. */
  readonly ask = (question: Question): Promise<boolean> => {
    const key = JSON.stringify(question);
    const asked = this.same.get(key);
    if (asked !== undefined) return asked;
    if (this.waiting.size >= maxQuestions) return Promise.resolve(false);
    const answer = this.askNew(question).finally(() => this.same.delete(key));
    this.same.set(key, answer);
    return answer;
  };

  private askNew(question: Question): Promise<boolean> {
    const id = this.next++;
    return new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => this.answer(id, false), patienceMs).unref();
      this.waiting.set(id, (yes) => {
        clearTimeout(timer);
        resolve(yes);
      });
      this.send(id, question);
    });
  }

  answer(id: number, yes: boolean): void {
    const resolve = this.waiting.get(id);
    this.waiting.delete(id);
    resolve?.(yes);
  }
}
