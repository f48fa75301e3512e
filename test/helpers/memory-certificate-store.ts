import type {
  AcmeAccount,
  Certificate,
  CertificateState,
  CertificateStore,
  Challenge,
  TicketKey,
} from '../../src/certs/types.ts';
import { challengeKey } from '../../src/certs/types.ts';

export interface MemoryCertificateStore extends CertificateStore {
  /** While set, every method rejects with it. */
  failure?: Error;
  /** Called before a method does its work, with its name: tests throw, wait or change things here. */
  before?: (method: string, ...args: unknown[]) => unknown;
  /** Makes `changesSince` say that it does not know any more. */
  forgets: boolean;
  readonly certificates: Map<string, Certificate>;
  readonly statesById: Map<string, CertificateState>;
  readonly challenges: Map<string, { challenge: Challenge; expiresAt: number }>;
  readonly leases: Map<string, { holder: string; until: number }>;
  keys: readonly TicketKey[];
}

/** A certificate store without a database; several managers may share one. */
export function memoryCertificateStore(...initial: Certificate[]): MemoryCertificateStore {
  const log: { version: number; id: string }[] = [];
  const accounts = new Map<string, AcmeAccount>();
  const onDemand: number[] = [];
  let version = 0;
  const note = (id: string) => {
    version += 1;
    log.push({ version, id });
  };
  const did = async (method: string, ...args: unknown[]) => {
    await store.before?.(method, ...args);
    if (store.failure) throw store.failure;
  };
  const store: MemoryCertificateStore = {
    forgets: false,
    certificates: new Map(initial.map((certificate) => [certificate.id, certificate])),
    statesById: new Map(),
    challenges: new Map(),
    leases: new Map(),
    keys: [],
    async load() {
      await did('load');
      return { version, certificates: [...store.certificates.values()] };
    },
    async save(certificate) {
      await did('save', certificate);
      const createdAt = store.certificates.get(certificate.id)?.createdAt ?? certificate.createdAt;
      store.certificates.set(certificate.id, { ...certificate, createdAt });
      note(certificate.id);
      return { version };
    },
    async remove(id) {
      await did('remove', id);
      const removed = store.certificates.delete(id);
      if (removed) note(id);
      return { version, removed };
    },
    async changesSince(since) {
      await did('changesSince', since);
      if (store.forgets) return 'all';
      const ids = [...new Set(log.filter((entry) => entry.version > since).map(({ id }) => id))];
      const save = ids.flatMap((id) => store.certificates.get(id) ?? []);
      return { version, save, remove: ids.filter((id) => !store.certificates.has(id)) };
    },
    async states() {
      await did('states');
      return [...store.statesById.values()];
    },
    async findState(id) {
      await did('findState', id);
      return store.statesById.get(id);
    },
    async saveState(state) {
      await did('saveState', state);
      store.statesById.set(state.id, state);
    },
    async removeState(id) {
      await did('removeState', id);
      store.statesById.delete(id);
    },
    async accounts() {
      await did('accounts');
      return [...accounts.values()];
    },
    async saveAccount(account) {
      await did('saveAccount', account);
      accounts.set(account.directory, account);
    },
    async putChallenge(challenge, expiresAt) {
      await did('putChallenge', challenge);
      store.challenges.set(challengeKey(challenge), { challenge, expiresAt });
    },
    async removeChallenge(key) {
      await did('removeChallenge', key);
      store.challenges.delete(key);
    },
    async findChallenge(key, now) {
      await did('findChallenge', key);
      const found = store.challenges.get(key);
      return found !== undefined && found.expiresAt > now ? found.challenge : undefined;
    },
    async takeLease(name, holder, now, until) {
      await did('takeLease', name, holder);
      const lease = store.leases.get(name);
      if (lease !== undefined && lease.holder !== holder && lease.until > now) return false;
      store.leases.set(name, { holder, until });
      return true;
    },
    async releaseLease(name, holder) {
      await did('releaseLease', name, holder);
      if (store.leases.get(name)?.holder === holder) store.leases.delete(name);
    },
    async ticketKeys() {
      await did('ticketKeys');
      return store.keys;
    },
    async replaceTicketKeys(before, after) {
      await did('replaceTicketKeys');
      const same = before.length === store.keys.length && before.every(({ key }, i) => key === store.keys[i].key);
      if (same) store.keys = after;
      return store.keys;
    },
    async countOnDemand(now, perHour) {
      await did('countOnDemand');
      if (onDemand.filter((at) => at > now - 3_600_000).length >= perHour) return false;
      onDemand.push(now);
      return true;
    },
  };
  return store;
}
