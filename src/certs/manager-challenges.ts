import type { Clock } from './manager-types.ts';
import { type CertificatePublisher, type CertificateStore, type Challenge, challengeKey } from './types.ts';

/** How long a challenge may be answered, ms: CAs ask within seconds, again within minutes. */
const lifeMs = 15 * 60_000;
/** For how long a challenge that was not found is not looked for again, ms. */
const unknownMs = 1_000;
const mostUnknown = 10_000;
/** Questions to the database at one time; more are answered with no. */
const mostQuestions = 64;
const questionMs = 5_000;
const keyForm = /^(?:http-01 [A-Za-z0-9_-]{1,256}|tls-alpn-01 [a-z0-9._:-]{1,253})$/;

export interface ChallengeOptions {
  readonly store: Pick<CertificateStore, 'putChallenge' | 'removeChallenge' | 'findChallenge'>;
  readonly publisher: Pick<CertificatePublisher, 'challenges'>;
  readonly clock: Clock;
  readonly shared: boolean;
}

/** Brings challenges to all who may be asked: our workers, and by the database the other servers'. */
export class Challenges {
  readonly #options: ChallengeOptions;
  /** Keys of others' challenges that our workers have, with when they end. */
  readonly #borrowed = new Map<string, number>();
  readonly #unknown = new Map<string, number>();
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: ChallengeOptions) {
    this.#options = options;
  }

  /** Resolves when the database has it and each of our workers answers it. */
  readonly present = async (challenge: Challenge): Promise<void> => {
    const { store, publisher, clock, shared } = this.#options;
    const put = store.putChallenge(challenge, clock.now() + lifeMs).catch((error) => {
      // Only other servers read it there.
      if (shared) throw error;
    });
    await Promise.all([put, publisher.challenges({ save: [challenge], remove: [] })]);
  };

  /** Never rejects: what is left over answers nobody's question, and expires. */
  readonly cleanup = async (challenge: Challenge): Promise<void> => {
    const { store, publisher } = this.#options;
    const key = challengeKey(challenge);
    await Promise.allSettled([store.removeChallenge(key), publisher.challenges({ save: [], remove: [key] })]);
  };

  /** Looks for another server's challenge. Resolves with true when our workers have it. */
  ask(key: string): Promise<boolean> {
    const { clock, shared } = this.#options;
    if (!shared || !keyForm.test(key) || (this.#unknown.get(key) ?? 0) > clock.now()) return Promise.resolve(false);
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    if (this.#asking.size >= mostQuestions) return Promise.resolve(false);
    const question = this.#find(key).finally(() => this.#asking.delete(key));
    this.#asking.set(key, question);
    return question;
  }

  async #find(key: string): Promise<boolean> {
    const { store, publisher, clock } = this.#options;
    let cancel = () => {};
    const late = new Promise<undefined>((resolve) => {
      cancel = clock.after(questionMs, () => resolve(undefined));
    });
    const found = await Promise.race([store.findChallenge(key, clock.now()).catch(() => undefined), late]);
    cancel();
    if (found === undefined) {
      if (this.#unknown.size >= mostUnknown) this.#unknown.clear();
      this.#unknown.set(key, clock.now() + unknownMs);
      return false;
    }
    this.#borrowed.set(key, clock.now() + lifeMs);
    return publisher.challenges({ save: [found], remove: [] }).then(
      () => true,
      () => false,
    );
  }

  /** Takes from the workers what others' challenges have outlived. */
  async sweep(): Promise<void> {
    const now = this.#options.clock.now();
    const ended = [...this.#borrowed].filter(([, end]) => end <= now).map(([key]) => key);
    if (ended.length === 0) return;
    for (const key of ended) this.#borrowed.delete(key);
    await this.#options.publisher.challenges({ save: [], remove: ended }).catch(() => {});
  }
}
