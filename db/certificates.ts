import { asc, eq, gt, lte, min, sql } from 'drizzle-orm';
import type { Certificate, CertificateChange, CertificateStore } from '../src/certs/types.ts';
import { type Cipher, openSealed, type SealKey } from './cipher.ts';
import { type Connection, database } from './connection.ts';
import { damaged, parsed } from './damaged.ts';
import { StoreError } from './failure.ts';
import { unreadable, writeGuarded } from './guarded.ts';
import { createIssuanceStore } from './issuance.ts';
import { again, attempts } from './retry.ts';
import { certificateChanges, certificates, meta } from './schema.ts';
import { watch } from './watch.ts';

/** How many changes the log keeps. */
export const changesKept = 10_000;

/** Certificates that one read returns, with chains of some 5 KB: Hrana servers refuse answers above some 10 MB. */
const page = 500;

export interface CertificateStoreOptions {
  readonly now?: () => number;
  /**
   * Told of a row that can't be opened though the key is right (OO_STORE_CORRUPT); it is left out then, and the next `save`
   * replaces it. Default: the error is thrown.
   */
  readonly onDamaged?: (error: StoreError) => void;
  readonly changesKept?: number;
}

/** The certificate store over a migrated database, with the key that `openEncryption` found. Every method throws StoreError. */
export function createCertificateStore(
  connection: Connection,
  cipher: Cipher,
  options: CertificateStoreOptions = {},
): CertificateStore {
  const {
    now = Date.now,
    onDamaged = (error) => {
      throw error;
    },
    changesKept: kept = changesKept,
  } = options;
  const reads = database(connection, 'read');
  const stored = reads.select({ version: meta.certificateVersion }).from(meta);

  async function load() {
    for (let attempt = 1; ; attempt++) {
      const loaded = await loadPages();
      if (loaded !== 'all') return loaded;
      if (attempt === attempts) {
        const message = `The certificates of the database ${connection.where} change faster than they can be read.`;
        throw new StoreError('OO_STORE_BUSY', message, 'Start again when fewer changes are being made.');
      }
    }
  }

  // Pages may be of different versions: the changes made meanwhile, laid over them, give the last one's state.
  async function loadPages() {
    const found = new Map<string, Certificate>();
    let first: number | undefined;
    let last = 0;
    for (let after = '', rows = page; rows === page; ) {
      const query = reads.select().from(certificates).where(gt(certificates.id, after)).orderBy(asc(certificates.id));
      const [[{ version }], list] = await again(connection, () => reads.batch([stored, query.limit(page)]));
      first ??= version;
      last = version;
      rows = list.length;
      for (const certificate of await opened(list)) found.set(certificate.id, certificate);
      after = list.at(-1)?.id ?? '';
    }
    if (last === first) return { version: last, certificates: [...found.values()] };
    const changes = await changesSince(first as number);
    if (changes === 'all') return changes;
    for (const certificate of changes.save) found.set(certificate.id, certificate);
    for (const id of changes.remove) found.delete(id);
    const sorted = [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return { version: changes.version, certificates: sorted };
  }

  async function changesSince(version: number): Promise<CertificateChange | 'all'> {
    const oldest = reads.select({ version: min(certificateChanges.version) }).from(certificateChanges);
    const saved = reads.select().from(certificates).where(gt(certificates.version, version));
    const removed = reads
      .selectDistinct({ id: certificateChanges.certificateId })
      .from(certificateChanges)
      .leftJoin(certificates, eq(certificates.id, certificateChanges.certificateId))
      .where(sql`${certificateChanges.version} > ${version} AND ${certificates.id} IS NULL`);
    const [[current], [log], rows, gone] = await again(connection, () =>
      reads.batch([stored, oldest, saved.limit(page + 1), removed]),
    );
    if (current.version === version) return { version, save: [], remove: [] };
    // A version ahead of the database: a backup was restored.
    const reached = current.version > version && log.version !== null && log.version <= version + 1;
    if (!reached || rows.length > page) return 'all';
    return { version: current.version, save: await opened(rows), remove: gone.map(({ id }) => id) };
  }

  async function opened(rows: readonly (typeof certificates.$inferSelect)[]): Promise<Certificate[]> {
    const found: Certificate[] = [];
    for (const whole of rows) {
      const { privateKey, version: _, names: list, ...row } = whole;
      const names = namesOf(list);
      if (names === undefined || !isSound(whole)) {
        onDamaged(damaged(connection, `the certificate ${row.id}`));
        continue;
      }
      const key = openSealed(cipher, 'certificates.private_key', row.id, privateKey);
      if (key === undefined) {
        const error = await unreadable(connection, cipher, `the key of the certificate ${row.id}`);
        if (error.code === 'OO_STORE_KEY') throw error;
        onDamaged(error);
      } else {
        found.push({ ...row, names, key } as Certificate);
      }
    }
    return found;
  }

  async function save(certificate: Certificate): Promise<{ version: number }> {
    const results = await writeGuarded<{ version: number }[]>(connection, cipher, (writes, key) => {
      const row = { ...rowOf(certificate, key), version: storedVersion };
      const { createdAt: _, ...update } = row;
      return [
        writes.update(meta).set({ certificateVersion: sql`${meta.certificateVersion} + 1` }),
        writes.insert(certificates).values(row).onConflictDoUpdate({ target: certificates.id, set: update }),
        writes.insert(certificateChanges).values({ version: storedVersion, certificateId: certificate.id }),
        writes.delete(certificateChanges).where(lte(certificateChanges.version, sql`${storedVersion} - ${kept}`)),
        writes.select({ version: meta.certificateVersion }).from(meta),
      ];
    });
    return results[4][0];
  }

  async function remove(id: string): Promise<{ version: number; removed: boolean }> {
    const is = eq(certificates.id, id);
    // Looked up first: an answer that was lost would make the second attempt find nothing.
    const before = await again(connection, () => reads.select({ id: certificates.id }).from(certificates).where(is));
    const there = sql`(SELECT count(*) FROM ${certificates} WHERE ${is})`;
    const results = await writeGuarded<{ version: number }[]>(connection, cipher, (writes) => [
      writes.update(meta).set({ certificateVersion: sql`${meta.certificateVersion} + ${there}` }),
      writes.run(sql`INSERT INTO ${certificateChanges} (version, certificate_id)
        SELECT ${storedVersion}, id FROM ${certificates} WHERE ${is}`),
      writes.delete(certificates).where(is),
      writes.delete(certificateChanges).where(lte(certificateChanges.version, sql`${storedVersion} - ${kept}`)),
      writes.select({ version: meta.certificateVersion }).from(meta),
    ]);
    return { version: results[4][0].version, removed: before.length > 0 };
  }

  return {
    load,
    save,
    remove,
    changesSince,
    ...createIssuanceStore(connection, cipher, { now, onDamaged }),
    watch: connection.shared
      ? (known, onVersion, onError) =>
          watch(connection, { number: (numbers) => numbers.certificateVersion, known, onChange: onVersion, onError })
      : undefined,
  };
}

/** The number of the last change, inside of a statement. */
const storedVersion = sql<number>`(SELECT ${meta.certificateVersion} FROM ${meta})`;

/** Undefined if it is no list of names. */
function namesOf(json: string): string[] | undefined {
  const names = parsed(json);
  return Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string')
    ? names
    : undefined;
}

const sources = new Set(['acme', 'saved', 'local']);
const keyTypes = new Set(['ecdsa', 'rsa']);

/** One damaged row must not keep the server from starting, nor its timers from working. */
function isSound(row: typeof certificates.$inferSelect): boolean {
  const times = [row.notBefore, row.notAfter, row.createdAt, row.updatedAt];
  return times.every(Number.isFinite) && sources.has(row.source) && keyTypes.has(row.keyType);
}

function rowOf({ names, key: pem, ...certificate }: Certificate, key: SealKey) {
  const { id, chain, source, keyType, issuer, serial, notBefore, notAfter, directory, createdAt, updatedAt } =
    certificate;
  return {
    ...{ id, chain, source, keyType, issuer, serial, notBefore, notAfter, directory, createdAt, updatedAt },
    names: JSON.stringify(names),
    privateKey: key.seal('certificates.private_key', id, pem),
  };
}
