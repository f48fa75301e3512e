import { createHash, randomUUID } from 'node:crypto';
import { and, eq, gt, lte, or, sql } from 'drizzle-orm';
import type { AcmeAccount, CertificateState, CertificateStore, Challenge, TicketKey } from '../src/certs/types.ts';
import { type Cipher, openSealed } from './cipher.ts';
import { type Connection, database } from './connection.ts';
import { damaged, parsed } from './damaged.ts';
import type { StoreError } from './failure.ts';
import { unreadable, writeGuarded } from './guarded.ts';
import { again } from './retry.ts';
import { acmeAccounts, certificateStates, challenges, leases, onDemand, ticketKeys } from './schema.ts';

const hourMs = 3_600_000;

/**
 * How long what has ended stays, ms. Servers on several machines may disagree on what time it is: nobody takes away
 * what another still counts on.
 */
const graceMs = hourMs;

/**
 * The longest lease, ms. One that ends later than this from now was written by a clock that was far wrong, and counts as free:
 * else a name could have no certificate for years.
 */
export const longestLeaseMs = 24 * hourMs;

/** All of a certificate store but the certificates themselves. */
export type IssuanceStore = Omit<CertificateStore, 'load' | 'save' | 'remove' | 'changesSince' | 'watch'>;

/** @param options as of `createCertificateStore` */
export function createIssuanceStore(
  connection: Connection,
  cipher: Cipher,
  { now: clock, onDamaged }: { now: () => number; onDamaged: (error: StoreError) => void },
): IssuanceStore {
  const reads = database(connection, 'read');

  /** Tells of a row that can't be opened. @throws StoreError if it is so since another server has replaced the key */
  async function report(what: string): Promise<void> {
    const error = await unreadable(connection, cipher, what);
    if (error.code === 'OO_STORE_KEY') throw error;
    onDamaged(error);
  }

  async function states(): Promise<CertificateState[]> {
    const rows = await again(connection, () => reads.select().from(certificateStates));
    return rows.flatMap((row) => stateOf(row) ?? []);
  }

  async function findState(id: string): Promise<CertificateState | undefined> {
    const [row] = await again(connection, () =>
      reads.select().from(certificateStates).where(eq(certificateStates.id, id)),
    );
    return row && stateOf(row);
  }

  /** What makes no sense is told of and left out: a state is made anew, and a time that is none would have timers run wild. */
  function stateOf({ id, value }: { id: string; value: string }): CertificateState | undefined {
    const state = parsed(value) as Omit<CertificateState, 'id'> | null | undefined;
    const isSound =
      typeof state === 'object' &&
      state !== null &&
      stateNumbers.every((key) => Number.isFinite(state[key])) &&
      [state.renewSerial, state.windowUrl].every((text) => typeof text === 'string') &&
      isFailure(state.lastFailure);
    if (isSound) return { ...state, id };
    onDamaged(damaged(connection, `what is planned for the certificate ${id}`));
    return undefined;
  }

  async function saveState({ id, ...state }: CertificateState): Promise<void> {
    const value = JSON.stringify(state);
    await writeGuarded(connection, cipher, (writes) => [
      writes
        .insert(certificateStates)
        .values({ id, value })
        .onConflictDoUpdate({ target: certificateStates.id, set: { value } }),
    ]);
  }

  async function removeState(id: string): Promise<void> {
    await writeGuarded(connection, cipher, (writes) => [
      writes.delete(certificateStates).where(eq(certificateStates.id, id)),
    ]);
  }

  async function accounts(): Promise<AcmeAccount[]> {
    const rows = await again(connection, () => reads.select().from(acmeAccounts));
    const found: AcmeAccount[] = [];
    for (const { privateKey, ...account } of rows) {
      const key = openSealed(cipher, 'acme_accounts.private_key', account.directory, privateKey);
      if (key === undefined) await report(`the key of the account at ${account.directory}`);
      else found.push({ ...account, key });
    }
    return found;
  }

  async function saveAccount({ key: pem, directory, url, contact, createdAt, updatedAt }: AcmeAccount): Promise<void> {
    await writeGuarded(connection, cipher, (writes, key) => {
      const update = { url, contact, updatedAt, privateKey: key.seal('acme_accounts.private_key', directory, pem) };
      return [
        writes
          .insert(acmeAccounts)
          .values({ directory, createdAt, ...update })
          .onConflictDoUpdate({ target: acmeAccounts.directory, set: update }),
      ];
    });
  }

  async function putChallenge(challenge: Challenge, expiresAt: number): Promise<void> {
    const { type, name, token } = challenge;
    // As challengeKey of src/certs has it.
    const id = type === 'http-01' ? `http-01 ${token}` : `tls-alpn-01 ${name}`;
    await writeGuarded(connection, cipher, (writes, key) => {
      const row = { type, name, token, expiresAt, ...answerOf(challenge, id, key) };
      return [
        writes.delete(challenges).where(lte(challenges.expiresAt, clock() - graceMs)),
        writes
          .insert(challenges)
          .values({ key: id, ...row })
          .onConflictDoUpdate({ target: challenges.key, set: row }),
      ];
    });
  }

  async function removeChallenge(key: string): Promise<void> {
    await writeGuarded(connection, cipher, (writes) => [writes.delete(challenges).where(eq(challenges.key, key))]);
  }

  async function findChallenge(key: string, now: number): Promise<Challenge | undefined> {
    const is = and(eq(challenges.key, key), gt(challenges.expiresAt, now));
    const [row] = await again(connection, () => reads.select().from(challenges).where(is));
    if (row === undefined) return undefined;
    const { name, token, content, privateKey } = row;
    if (row.type === 'http-01') return { type: row.type, name, token, content };
    const pem = openSealed(cipher, 'challenges.private_key', key, privateKey ?? '');
    if (pem !== undefined) return { type: 'tls-alpn-01', name, token, chain: content, key: pem };
    await report(`the challenge ${key}`);
    return undefined;
  }

  /**
   * One statement, so of any number of servers one has it. Both times come from the callers' clocks: it is assumed that these
   * differ by less than what is left of a lease when its holder extends it (20 s of 30: src/certs/lease.ts; NTP holds clocks to
   * milliseconds). A clock that is ahead by more can take a lease too early: then two servers do the same work, and the store
   * keeps what the later one says; nothing breaks.
   */
  async function takeLease(name: string, holder: string, now: number, until: number): Promise<boolean> {
    const [, taken] = await writeGuarded<unknown[]>(connection, cipher, (writes) => [
      writes.delete(leases).where(lte(leases.expiresAt, now - longestLeaseMs)),
      writes
        .insert(leases)
        .values({ name, holder, expiresAt: until })
        .onConflictDoUpdate({
          target: leases.name,
          set: { holder, expiresAt: until },
          setWhere: or(
            eq(leases.holder, holder),
            lte(leases.expiresAt, now),
            gt(leases.expiresAt, now + longestLeaseMs),
          ),
        })
        .returning({ holder: leases.holder }),
    ]);
    return taken.length > 0;
  }

  async function releaseLease(name: string, holder: string): Promise<void> {
    await writeGuarded(connection, cipher, (writes) => [
      writes.delete(leases).where(and(eq(leases.name, name), eq(leases.holder, holder))),
    ]);
  }

  async function ticketKeyRow(): Promise<{ keys: TicketKey[]; digest: string }> {
    const [row] = await again(connection, () => reads.select().from(ticketKeys));
    if (row === undefined) return { keys: [], digest: digestOf('[]') };
    const text = openSealed(cipher, 'ticket_keys.sealed', '1', row.sealed);
    // Lost ticket keys cost a full handshake each; so they are as if there were none, and can be replaced.
    if (text === undefined) await report('the keys of session tickets');
    return { keys: text === undefined ? [] : JSON.parse(text), digest: row.digest };
  }

  async function replaceTicketKeys(before: readonly TicketKey[], after: readonly TicketKey[]): Promise<TicketKey[]> {
    const { keys, digest } = await ticketKeyRow();
    if (textOf(keys) !== textOf(before)) return keys;
    const text = textOf(after);
    await writeGuarded(connection, cipher, (writes, key) => {
      const row = { sealed: key.seal('ticket_keys.sealed', '1', text), digest: digestOf(text) };
      return [
        writes
          .insert(ticketKeys)
          .values({ id: 1, ...row })
          .onConflictDoUpdate({ target: ticketKeys.id, set: row, setWhere: eq(ticketKeys.digest, digest) }),
      ];
    });
    return (await ticketKeyRow()).keys;
  }

  async function countOnDemand(now: number, perHour: number): Promise<boolean> {
    const id = randomUUID();
    const hour = sql`(SELECT count(*) FROM ${onDemand} WHERE ${onDemand.at} > ${now - hourMs})`;
    const [, , counted] = await writeGuarded<unknown[]>(connection, cipher, (writes) => [
      writes.delete(onDemand).where(lte(onDemand.at, now - hourMs - graceMs)),
      writes.run(sql`INSERT INTO ${onDemand} (id, at) SELECT ${id}, ${now} WHERE ${hour} < ${perHour}
        ON CONFLICT DO NOTHING`),
      writes.select({ id: onDemand.id }).from(onDemand).where(eq(onDemand.id, id)),
    ]);
    return counted.length > 0;
  }

  return {
    ...{ states, findState, saveState, removeState, accounts, saveAccount },
    ...{ putChallenge, removeChallenge, findChallenge, takeLease, releaseLease },
    ticketKeys: async () => (await ticketKeyRow()).keys,
    replaceTicketKeys,
    countOnDemand,
  };
}

const stateNumbers = [
  ...(['failures', 'notBefore', 'renewAt', 'windowStart', 'windowEnd', 'askWindowAt', 'forcedAt'] as const),
];

function isFailure(failure: CertificateState['lastFailure']): boolean {
  if (failure === null) return true;
  if (typeof failure !== 'object') return false;
  const { at, retryAfter, step, directory, message, hint, problem } = failure;
  const texts = [step, directory, message, hint, problem];
  return Number.isFinite(at) && Number.isFinite(retryAfter) && texts.every((text) => typeof text === 'string');
}

function answerOf(challenge: Challenge, id: string, key: Cipher['current']) {
  if (challenge.type === 'http-01') return { content: challenge.content, privateKey: null };
  return { content: challenge.chain, privateKey: key.seal('challenges.private_key', id, challenge.key) };
}

function textOf(keys: readonly TicketKey[]): string {
  return JSON.stringify(keys.map(({ key, createdAt }) => ({ key, createdAt })));
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
