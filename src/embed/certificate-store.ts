import { createHash } from 'node:crypto';
import {
  type AcmeAccount,
  type Certificate,
  type CertificateState,
  type CertificateStore,
  type Challenge,
  challengeKey,
  type TicketKey,
} from '../certs/types.ts';
import type { CertificateStorage } from './certificate-types.ts';

const hourMs = 3_600_000;

interface Lease {
  readonly holder: string;
  readonly until: number;
}

/**
 * The certificate store over simple records. Certificates that a person has saved are the embedder's, and are kept in memory only.
 * Leases keep processes that share the records from ordering the same certificate; where two take an expired one in the same moment, both order.
 * Methods reject as the storage does.
 * @param onDamaged told of a record that can't be read, in words; it is passed over, and the next write replaces it
 */
export function createRecordStore(storage: CertificateStorage, onDamaged: (line: string) => void): CertificateStore {
  /** The embedder's. */
  const own = new Map<string, Certificate>();
  /** Records as they were last seen: name → mark, and what is in them. */
  const seen = new Map<string, { readonly mark: string; readonly certificate: Certificate | undefined }>();
  let version = 1;
  let looking: Promise<{ save: Certificate[]; remove: string[] }> = Promise.resolve({ save: [], remove: [] });

  async function read<T>(name: string): Promise<T | undefined> {
    const text = await storage.read(name);
    if (text === undefined) return undefined;
    try {
      const value = JSON.parse(text);
      if (typeof value === 'object' && value !== null) return value;
    } catch {}
    tellDamaged(name);
    return undefined;
  }

  function tellDamaged(name: string): void {
    onDamaged(`certificates: the record ${name} can't be read, and is passed over`);
  }

  const write = (name: string, value: unknown) => storage.write(name, JSON.stringify(value));

  async function readAll<T>(prefix: string): Promise<T[]> {
    const entries = await storage.list(prefix);
    const values = await Promise.all(entries.map(({ name }) => read<T>(name)));
    return values.filter((value) => value !== undefined);
  }

  /** One at a time: two would both take the same change for news, or neither. */
  function look(): Promise<{ save: Certificate[]; remove: string[] }> {
    looking = looking.catch(() => undefined).then(lookNow);
    return looking;
  }

  async function lookNow(): Promise<{ save: Certificate[]; remove: string[] }> {
    const entries = await storage.list('certificates/');
    const save: Certificate[] = [];
    for (const { name, mark } of entries) {
      if (seen.get(name)?.mark === mark) continue;
      const found = await read<Certificate>(name);
      const certificate = soundOrNone(found);
      if (found !== undefined && certificate === undefined) tellDamaged(name);
      seen.set(name, { mark, certificate });
      if (certificate !== undefined) save.push(certificate);
    }
    const names = new Set(entries.map(({ name }) => name));
    const remove: string[] = [];
    for (const [name, { certificate }] of seen) {
      if (names.has(name)) continue;
      seen.delete(name);
      if (certificate !== undefined) remove.push(certificate.id);
    }
    if (save.length + remove.length > 0) version++;
    return { save, remove };
  }

  /** What a process that was killed has left. */
  async function sweepChallenges(now: number): Promise<void> {
    for (const { name } of await storage.list('challenges/')) {
      const found = await read<{ expiresAt: number }>(name);
      if (found === undefined || !(found.expiresAt > now)) await storage.remove(name);
    }
  }

  return {
    async load() {
      await look();
      await sweepChallenges(Date.now());
      const kept = [...seen.values()].flatMap(({ certificate }) => certificate ?? []);
      return { version, certificates: [...kept.filter(({ id }) => !own.has(id)), ...own.values()] };
    },
    async save(certificate) {
      const { id } = certificate;
      if (certificate.source === 'saved') own.set(id, certificate);
      else {
        const before = await read<Certificate>(certificateName(id));
        await write(certificateName(id), { ...certificate, createdAt: before?.createdAt ?? certificate.createdAt });
      }
      return { version: ++version };
    },
    async remove(id) {
      const removed = own.delete(id) || (await storage.remove(certificateName(id)));
      return { version: ++version, removed };
    },
    async changesSince(since) {
      const { save, remove } = await look();
      // What another call has seen meanwhile is not among these.
      if (since < version - 1) return 'all';
      return { version, save: save.filter(({ id }) => !own.has(id)), remove: remove.filter((id) => !own.has(id)) };
    },
    states: () => readAll<CertificateState>('states/'),
    findState: (id) => read<CertificateState>(`states/${id}`),
    saveState: (state) => write(`states/${state.id}`, state),
    async removeState(id) {
      await storage.remove(`states/${id}`);
    },
    accounts: () => readAll<AcmeAccount>('accounts/'),
    saveAccount: (account) => write(`accounts/${hashOf(account.directory)}`, account),
    putChallenge: (challenge, expiresAt) => write(`challenges/${challengeKey(challenge)}`, { challenge, expiresAt }),
    async removeChallenge(key) {
      await storage.remove(`challenges/${key}`);
    },
    async findChallenge(key, now) {
      const found = await read<{ challenge: Challenge; expiresAt: number }>(`challenges/${key}`);
      return found !== undefined && found.expiresAt > now ? found.challenge : undefined;
    },
    async takeLease(name, holder, now, until) {
      const lease: Lease = { holder, until };
      if (await storage.create(`leases/${name}`, JSON.stringify(lease))) return true;
      const held = await read<Lease>(`leases/${name}`);
      if (held !== undefined && held.holder !== holder && held.until > now) return false;
      await write(`leases/${name}`, lease);
      return (await read<Lease>(`leases/${name}`))?.holder === holder;
    },
    async releaseLease(name, holder) {
      if ((await read<Lease>(`leases/${name}`))?.holder === holder) await storage.remove(`leases/${name}`);
    },
    ticketKeys,
    async replaceTicketKeys(before, after) {
      const current = await ticketKeys();
      const same = current.length === before.length && current.every(({ key }, i) => key === before[i].key);
      if (same) await write('ticket-keys', { keys: after });
      return ticketKeys();
    },
    async countOnDemand(now, perHour) {
      const { times: stored } = (await read<{ times: number[] }>('on-demand')) ?? {};
      const times = Array.isArray(stored) ? stored : [];
      const recent = times.filter((at) => at > now - hourMs);
      if (recent.length >= perHour) return false;
      await write('on-demand', { times: [...recent, now] });
      return true;
    },
  };

  async function ticketKeys(): Promise<readonly TicketKey[]> {
    const found = await read<{ keys: TicketKey[] }>('ticket-keys');
    if (found === undefined) return [];
    if (Array.isArray(found.keys) && found.keys.every(isTicketKey)) return found.keys;
    tellDamaged('ticket-keys');
    return [];
  }
}

function isTicketKey(value: unknown): boolean {
  const { key, createdAt } = Object(value) as Partial<TicketKey>;
  return typeof key === 'string' && Number.isFinite(createdAt);
}

function certificateName(id: string): string {
  return `certificates/${id}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What is not whole must not be served, nor stop the timers. */
function soundOrNone(value: Certificate | undefined): Certificate | undefined {
  if (value === undefined) return undefined;
  const texts = [value.id, value.chain, value.key, value.serial, value.issuer, value.directory];
  const times = [value.notBefore, value.notAfter, value.createdAt, value.updatedAt];
  const isSound =
    texts.every((text) => typeof text === 'string') &&
    times.every(Number.isFinite) &&
    Array.isArray(value.names) &&
    value.names.length > 0 &&
    value.names.every((name) => typeof name === 'string');
  return isSound ? value : undefined;
}
