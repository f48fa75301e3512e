import {
  type CertificateAdmin,
  type CertificateDetail,
  type CertificateInfo,
  CertificateRefusal,
  type CheckLine,
  noCertificate,
  type RenewalOutcome,
  type RenewalStep,
  type SaveRequest,
  type TrustRoot,
  type WaitingName,
} from '../../src/admin/certs.ts';

export interface MemoryCertificates extends CertificateAdmin {
  readonly rows: Map<string, CertificateInfo>;
  readonly details: Map<string, Partial<CertificateDetail>>;
  readonly saved: SaveRequest[];
  readonly waitingNames: WaitingName[];
  /** What each renewal goes through, and how it ends. */
  readonly renewals: Map<string, { steps: RenewalStep[]; outcome: RenewalOutcome | Error }>;
  readonly checks: Map<string, CheckLine[]>;
  readonly newKeys: (string | undefined)[];
  /** Rejects the next calls with this. */
  failure?: Error;
  root: TrustRoot;
}

export const secretKey = '-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n';
export const somePem = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n';

/** The rows of the seed's own table. */
export const seedRows: readonly CertificateInfo[] = [
  certificate('singulatron.com', '2025-08-09T14:22:44.123Z', 'E6', '343948155511226677889900'),
  certificate('api.singulatron.com', '2025-08-09T14:15:47.000Z', 'E5', '83840157000011112222'),
  { id: 'acme_account+key', createdAt: '2025-06-08T14:12:42.000Z', updatedAt: '2025-06-08T14:12:42.000Z' },
];

function certificate(id: string, updatedAt: string, issuer: string, serialNumber: string): CertificateInfo {
  return {
    id,
    createdAt: '2025-06-08T14:13:00.000Z',
    updatedAt,
    notBefore: '2025-08-09T13:17:15.000Z',
    notAfter: '2025-11-07T13:17:14.000Z',
    commonName: id,
    dnsNames: [id],
    issuer,
    serialNumber,
    isCA: false,
    signatureAlgorithm: 'ECDSA-SHA384',
    publicKeyAlgorithm: 'ECDSA',
    publicKeyBitLength: 256,
    cert: somePem,
    names: [id],
    source: 'acme',
  };
}

/** Certificates without a server. */
export function memoryCertificates(initial: readonly CertificateInfo[] = seedRows): MemoryCertificates {
  const rows = new Map(initial.map((row) => [row.id, row]));
  const check = () => {
    if (memory.failure) throw memory.failure;
  };
  const memory: MemoryCertificates = {
    rows,
    details: new Map(),
    saved: [],
    waitingNames: [],
    renewals: new Map(),
    checks: new Map(),
    newKeys: [],
    root: { cert: somePem, commonName: 'oo local CA', fingerprint: 'AB:CD', notAfter: '2035-01-01T00:00:00.000Z' },
    async list() {
      check();
      return [...rows.values()].sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
    },
    async waiting() {
      check();
      return memory.waitingNames;
    },
    async get(id) {
      check();
      const certificate = rows.get(id) ?? null;
      const known = memory.details.get(id);
      if (!certificate && !known) return undefined;
      return {
        id,
        names: certificate?.names ?? [id],
        certificate,
        stored: true,
        chain: [],
        source: certificate?.source ?? 'acme',
        unmet: null,
        keyType: 'ecdsa',
        directory: '',
        routes: [],
        renewAt: null,
        renewalWindow: null,
        failures: 0,
        lastFailure: null,
        nextTryAt: null,
        running: null,
        ...known,
      };
    },
    async save(list) {
      check();
      const bad = list.find(({ cert }) => !cert.includes('CERTIFICATE'));
      if (bad) {
        throw new CertificateRefusal(
          400,
          'OO_BAD_CERTIFICATE',
          `${bad.id}: there is no certificate in it.`,
          'Give PEM.',
        );
      }
      memory.saved.push(...list);
      return list.map(({ id }) => {
        const row = { ...certificate(id, '2025-09-01T00:00:00.000Z', 'own', '1'), source: 'saved' as const };
        rows.set(id, row);
        return row;
      });
    },
    async remove(id) {
      check();
      return rows.delete(id) ? { routes: memory.details.get(id)?.routes ?? [] } : undefined;
    },
    async renew(id, onStep) {
      check();
      const renewal = memory.renewals.get(id);
      if (!renewal) throw noCertificate(id);
      const { steps, outcome } = renewal;
      const done = new Promise<RenewalOutcome>((resolve, reject) => {
        setImmediate(() => {
          for (const step of steps) onStep(step);
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        });
      });
      return { done };
    },
    async check(name) {
      check();
      return memory.checks.get(name) ?? [];
    },
    async raw(id, withKey) {
      check();
      const row = rows.get(id);
      if (!row) return undefined;
      return withKey ? { chain: row.cert ?? '', key: secretKey } : { chain: row.cert ?? '' };
    },
    async rotateKey(newKey) {
      check();
      memory.newKeys.push(newKey);
      return { rows: rows.size, message: 'The key is in oo.key.' };
    },
    async trustRoot() {
      check();
      return memory.root;
    },
  };
  return memory;
}
