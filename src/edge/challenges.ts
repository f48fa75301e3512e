import type tls from 'node:tls';
import { type Challenge, challengeKey } from '../certs/types.ts';
import { createChallengeContext } from './tls-context.ts';

/** The challenges that are answered now: a worker's copy. Few at a time, each for seconds. */
export class ChallengeTable {
  private readonly challenges = new Map<string, Challenge>();
  private readonly contexts = new WeakMap<Challenge, tls.SecureContext>();

  /** Adds or replaces. */
  save(challenges: readonly Challenge[]): void {
    for (const challenge of challenges) this.challenges.set(challengeKey(challenge), challenge);
  }

  /** @param keys as `challengeKey` makes them; unknown ones are nothing */
  remove(keys: readonly string[]): void {
    for (const key of keys) this.challenges.delete(key);
  }

  /** The body that answers `/.well-known/acme-challenge/TOKEN`; undefined if nobody asked for that. */
  httpAnswer(token: string): string | undefined {
    const challenge = this.challenges.get(challengeKey({ type: 'http-01', name: '', token }));
    return challenge?.type === 'http-01' ? challenge.content : undefined;
  }

  /**
   * What a handshake for `acme-tls/1` is answered with.
   * @param name in normal form
   * @returns undefined if there is no such challenge, or it has a certificate that can't be used
   */
  alpn(name: string): tls.SecureContext | undefined {
    const challenge = this.challenges.get(challengeKey({ type: 'tls-alpn-01', name, token: '' }));
    if (challenge?.type !== 'tls-alpn-01') return undefined;
    let context = this.contexts.get(challenge);
    if (context === undefined) {
      context = createChallengeContext(challenge.chain, challenge.key);
      if (context !== undefined) this.contexts.set(challenge, context);
    }
    return context;
  }
}
