import type { CertificateManager } from './manager-types.ts';
import { challengeKey } from './types.ts';

/** What the data path can't know by itself; as the edge's `Question`. */
export type CertificateQuestion =
  | { readonly what: 'certificate'; readonly name: string }
  | { readonly what: 'http-01'; readonly token: string }
  | { readonly what: 'tls-alpn-01'; readonly name: string };

/** Has the manager answer: whether it is worth to look again. */
export function answerQuestion(manager: CertificateManager, question: CertificateQuestion): Promise<boolean> {
  switch (question.what) {
    case 'certificate':
      return manager.askOnDemand(question.name);
    case 'http-01':
      return manager.askChallenge(challengeKey({ type: 'http-01', name: '', token: question.token }));
    case 'tls-alpn-01':
      return manager.askChallenge(challengeKey({ type: 'tls-alpn-01', name: question.name, token: '' }));
  }
}
