import {
  accountKeyId,
  badName,
  type CertificateAdmin,
  type CertificateDetail,
  type CertificateInfo,
  CertificateRefusal,
  type CheckLine,
  certificateId,
  noCertificate,
  type RenewalOutcome,
  type SaveRequest,
  type TrustRoot,
} from '../src/admin/certs.ts';
import type { CertificateManager, CertificateStatus, RenewOutcome, Unmet } from '../src/certs/manager-types.ts';
import type { CertificateStore } from '../src/certs/types.ts';
import { localRootId } from '../src/certs/wanted.ts';
import {
  accountRows,
  failureInfo,
  firstName,
  infoOf,
  iso,
  isoOrNull,
  linksOf,
  readOwn,
  rotated,
} from './certificate-info.ts';

export interface CertificateAdminOptions {
  readonly manager: Pick<CertificateManager, 'save' | 'remove' | 'renew' | 'status' | 'list' | 'unmet'>;
  readonly store: Pick<CertificateStore, 'accounts'>;
  /** The CA that is asked first: its account's row has the seed's id. '' where ACME is off. */
  readonly directory: string;
  readonly check: (name: string) => Promise<readonly CheckLine[]>;
  /** As OpenCertificateDatabase has it. */
  readonly rotateKey: (newKey?: string) => Promise<{ values: number; path: string | undefined }>;
  readonly trustRoot: () => Promise<TrustRoot>;
  /** Epoch ms. Default: the system's clock. */
  readonly now?: () => number;
}

/** Certificates that are read between two turns of the event loop. */
const batch = 50;

/** What the admin API shows and changes of a running server's certificates. */
export function createCertificateAdmin(options: CertificateAdminOptions): CertificateAdmin {
  const { manager, store, now = Date.now } = options;
  const accounts = async () => accountRows(await store.accounts(), options.directory);

  return {
    async list() {
      const rows: CertificateInfo[] = (await accounts()).map(({ key: _, ...row }) => row);
      const stored = manager.list().flatMap(({ certificate }) => certificate ?? []);
      for (const [i, certificate] of stored.entries()) {
        if (i % batch === batch - 1) await new Promise(setImmediate);
        rows.push(infoOf(certificate));
      }
      return lastFirst(rows);
    },
    async waiting() {
      const missing = manager.list().filter(({ certificate, wanted }) => !certificate && wanted);
      const names = missing.map(({ id, lastFailure, running, nextTryAt }) => ({
        id,
        reason: running ? 'it is being got now.' : (lastFailure?.message ?? 'its turn has not come.'),
        nextTryAt: isoOrNull(nextTryAt),
      }));
      const unmet = manager.unmet().filter(({ name }) => name !== '*');
      const others = unmet.map(({ name, reason, hint }) => ({
        id: name,
        reason: `${reason}. ${hint}`,
        nextTryAt: null,
      }));
      return [...names, ...others].sort((a, b) => (a.id < b.id ? -1 : 1));
    },
    async get(id) {
      if (id.startsWith(accountKeyId)) refuseOwnKeys(id);
      const status = manager.status(id);
      if (status) return detailOf(status);
      const unmet = manager.unmet().find(({ name }) => name === id);
      return unmet && detailOfUnmet(unmet);
    },
    async save(list) {
      for (const { id } of list) refuseOwnKeys(id);
      const proven = list.map((request: SaveRequest) => readOwn(request, now()));
      for (const { certificate } of proven) await manager.save(certificate);
      return proven.map(({ certificate, warnings }) => {
        const info = infoOf(manager.status(certificate.id)?.certificate ?? certificate);
        return warnings.length > 0 ? { ...info, warnings } : info;
      });
    },
    async prove({ id, cert, key }) {
      const request = { id: id ?? firstName(cert, key, now()), cert, key };
      const normal = certificateId(request.id);
      if (normal === undefined) throw badName(request.id);
      refuseOwnKeys(normal);
      readOwn({ ...request, id: normal }, now());
      return { ...request, id: normal };
    },
    async remove(id) {
      refuseOwnKeys(id);
      if (!(await manager.remove(id))) return undefined;
      const after = manager.status(id);
      return { routes: after?.id === id ? after.routes : [] };
    },
    async renew(id, onStep) {
      refuseOwnKeys(id);
      // By another name of the same certificate, too.
      const known = manager.status(id)?.id ?? id;
      const start = await manager.renew(known, ({ at, step, detail }) => onStep({ at: iso(at), step, detail }));
      if (start.kind === 'begun') return { done: start.done.then(outcomeOf) };
      // What a person has to replace or remove is the certificate, by its own id.
      throw whyNotRenewed(start.kind === 'own' ? known : id, start.kind, manager.unmet());
    },
    check: options.check,
    async raw(id, withKey) {
      if (id.startsWith(accountKeyId)) {
        const account = (await accounts()).find((row) => row.id === id);
        return account && (withKey ? { chain: '', key: account.key } : { chain: '' });
      }
      const certificate = manager.status(id)?.certificate;
      return (
        certificate && (withKey ? { chain: certificate.chain, key: certificate.key } : { chain: certificate.chain })
      );
    },
    rotateKey: async (newKey) => rotated(await options.rotateKey(newKey)),
    trustRoot: options.trustRoot,
  };
}

/** The last updated first; of those of one moment by id. */
export function lastFirst(rows: readonly CertificateInfo[]): CertificateInfo[] {
  return [...rows].sort((a, b) => b.updatedAt.localeCompare(a.updatedAt) || a.id.localeCompare(b.id));
}

/** Keys that are no certificates of a host. @throws CertificateRefusal */
export function refuseOwnKeys(id: string): void {
  if (id.startsWith(accountKeyId)) {
    const hint = 'It is what the CA knows this server by; oo cert raw shows it with --with-key.';
    throw new CertificateRefusal(409, 'OO_OWN_KEY', `${id} is the key of an ACME account, not a certificate.`, hint);
  }
  if (id === localRootId) {
    const hint = 'oo trust --print shows its certificate.';
    throw new CertificateRefusal(409, 'OO_OWN_KEY', `${id} is the local CA, which stays.`, hint);
  }
}

function whyNotRenewed(id: string, kind: 'unknown' | 'own' | 'off', unmet: readonly Unmet[]): CertificateRefusal {
  const reason = unmet.find(({ name }) => name === id);
  if (reason) return new CertificateRefusal(409, 'OO_NOT_RENEWED', `${id}: ${reason.reason}.`, reason.hint);
  if (kind === 'unknown') return noCertificate(id);
  if (kind === 'own') {
    const hint = `Bring the next one: oo cert save ${id} --cert FILE --key FILE; or remove it, and oo gets its own: oo cert rm ${id}`;
    return new CertificateRefusal(409, 'OO_NOT_RENEWED', `${id} was saved by a person: oo can't renew it.`, hint);
  }
  const hint = 'Start the server with another --acme than off, or bring a certificate: oo cert save.';
  return new CertificateRefusal(409, 'OO_ACME_OFF', `${id} can't be renewed: ACME is off.`, hint);
}

function outcomeOf(outcome: RenewOutcome): RenewalOutcome {
  if ('certificate' in outcome) return { certificate: infoOf(outcome.certificate) };
  return { failure: failureInfo(outcome.failure), nextTryAt: isoOrNull(outcome.nextTryAt) };
}

/** A status as the API shows it. */
export function detailOf(status: CertificateStatus): CertificateDetail {
  const { id, names, keyType, source, certificate, stored, routes, failures, lastFailure, window, running } = status;
  return {
    ...{ id, names, keyType, source, routes, failures },
    certificate: certificate ? infoOf(certificate) : null,
    stored: certificate === undefined || stored,
    chain: certificate ? linksOf(certificate.chain) : [],
    directory: certificate?.directory ?? lastFailure?.directory ?? '',
    unmet: null,
    renewAt: isoOrNull(status.renewAt),
    renewalWindow: window && {
      start: iso(window.start),
      end: iso(window.end),
      explanationUrl: window.explanationUrl,
    },
    lastFailure: lastFailure && failureInfo(lastFailure),
    nextTryAt: isoOrNull(status.nextTryAt),
    running: running && { at: iso(running.at), step: running.step, detail: running.detail },
  };
}

function detailOfUnmet({ name, routes, reason, hint }: Unmet): CertificateDetail {
  return {
    ...{ id: name, names: [name], certificate: null, stored: true, chain: [], keyType: 'ecdsa', source: 'acme' },
    ...{ directory: '', routes, unmet: { reason, hint }, renewAt: null, renewalWindow: null },
    ...{ failures: 0, lastFailure: null, nextTryAt: null, running: null },
  } as const;
}
