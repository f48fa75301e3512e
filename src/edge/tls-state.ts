import { type Challenge, challengeKey, type ServedCertificate } from '../certs/types.ts';
import type { TlsChange, ToWorker } from './messages.ts';

/** Certificates sent in one message: a worker that takes in many answers requests between two of them. */
const partCertificates = 250;

type TlsMessage = ToWorker & { type: 'tls' };

/** What TLS works with now, kept by the main process so that a worker which starts later gets all of it. */
export class TlsState {
  private readonly certificates = new Map<string, ServedCertificate>();
  private readonly challenges = new Map<string, Challenge>();
  private ticketKeys: readonly string[] | null = null;
  private number = 0;

  /** Takes a change in. Returns its number, and the messages that tell of it. */
  apply({ save = [], remove = [], challenges = [], endedChallenges = [], ticketKeys = null }: Partial<TlsChange>): {
    number: number;
    messages: TlsMessage[];
  } {
    for (const id of remove) this.certificates.delete(id);
    for (const one of save) this.certificates.set(one.id, served(one));
    for (const key of endedChallenges) this.challenges.delete(key);
    for (const one of challenges) this.challenges.set(challengeKey(one), one);
    if (ticketKeys !== null) this.ticketKeys = ticketKeys;
    this.number++;
    const change = { save: save.map(served), remove, challenges, endedChallenges, ticketKeys };
    return { number: this.number, messages: [...this.parts(change)] };
  }

  /** All of it. */
  whole(): Iterable<TlsMessage> {
    return this.parts({
      save: [...this.certificates.values()],
      remove: [],
      challenges: [...this.challenges.values()],
      endedChallenges: [],
      ticketKeys: this.ticketKeys,
    });
  }

  private *parts(change: TlsChange): Iterable<TlsMessage> {
    const { save } = change;
    // Only the last part is numbered: having that one means having all.
    let from = 0;
    for (; save.length - from > partCertificates; from += partCertificates) {
      const part = save.slice(from, from + partCertificates);
      const only = { save: part, remove: [], challenges: [], endedChallenges: [], ticketKeys: null };
      yield { type: 'tls', number: -1, change: only };
    }
    yield { type: 'tls', number: this.number, change: { ...change, save: save.slice(from) } };
  }
}

/** Without what a worker has no use for. */
function served({ id, names, chain, key }: ServedCertificate): ServedCertificate {
  return { id, names, chain, key };
}
