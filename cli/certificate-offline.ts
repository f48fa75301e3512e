import { openDatabase } from '../db/database.ts';
import { accountKeyId, type CertificateDetail, CertificateRefusal } from '../src/admin/certs.ts';
import { coversName } from '../src/certs/parse.ts';
import type { Certificate, CertificateState, CertificateStore } from '../src/certs/types.ts';
import { localRootId } from '../src/certs/wanted.ts';
import { parseRouteId } from '../src/core/host.ts';
import type { Route } from '../src/core/types.ts';
import { lastFirst, refuseOwnKeys } from './certificate-admin.ts';
import {
  accountRows,
  failureInfo,
  infoOf,
  iso,
  isoOrNull,
  linksOf,
  readOwn,
  rootOf,
  rotated,
} from './certificate-info.ts';
import type { CertificatesApi } from './certs-client.ts';
import { type OfflineOptions, openLocked } from './offline.ts';

/**
 * The certificates in the database itself. Holds the locks that a server would hold.
 * @throws CliError if a server runs; StoreError
 */
export function openOfflineCertificates(
  options: OfflineOptions & { readonly encryptionKey?: string },
): Promise<CertificatesApi> {
  const { stateDir, encryptionKey, warn } = options;
  const encryption = { key: encryptionKey, stateDir, onDamaged: (error: Error) => warn(error.message) };
  const open = (where: { url: string; authToken?: string }) => openDatabase({ ...where, encryption });
  return openLocked(options, open, async (database) => {
    const { routes } = await database.configuration.load();
    return {
      ...offlineAdmin(database.certificates, routes, warn),
      rotateKey: async (newKey?: string) => rotated(await database.rotateKey(newKey)),
    };
  });
}

/** What can be done without a server. */
export function offlineAdmin(
  store: CertificateStore,
  routes: readonly Route[],
  warn: (message: string) => void,
  now: () => number = Date.now,
): Omit<CertificatesApi, 'rotateKey' | 'close'> {
  const load = async () => (await store.load()).certificates;
  const find = async (id: string) => {
    const all = (await load()).filter((one) => one.id !== localRootId);
    return all.find((one) => one.id === id) ?? all.find((one) => coversName(one.names, id));
  };
  const routesOf = (id: string) =>
    routes.filter((route) => isHost(route, id.replace(/\+rsa$/, ''))).map(({ id }) => id);
  return {
    async list() {
      const served = (await load()).filter((one) => one.id !== localRootId);
      const accounts = accountRows(await store.accounts(), '').map(({ key: _, ...row }) => row);
      return lastFirst([...served.map(infoOf), ...accounts]);
    },
    async waiting() {
      const there = new Set((await load()).map(({ id }) => id));
      const failed = (await store.states()).filter(({ id, lastFailure }) => lastFailure && !there.has(id));
      return failed.map(({ id, lastFailure, notBefore }) => ({
        id,
        reason: lastFailure?.message ?? '',
        nextTryAt: isoOrNull(notBefore),
      }));
    },
    async get(id) {
      if (id.startsWith(accountKeyId)) refuseOwnKeys(id);
      const certificate = await find(id);
      const state = (await store.states()).find((one) => one.id === (certificate?.id ?? id));
      if (!certificate && !state && routesOf(id).length === 0) return undefined;
      return storedDetail(certificate?.id ?? id, certificate, state, routesOf(certificate?.id ?? id));
    },
    async save(list) {
      for (const { id } of list) refuseOwnKeys(id);
      const proven = list.map((request) => readOwn(request, now()));
      for (const { certificate } of proven) await store.save(certificate);
      return proven.map(({ certificate, warnings }) => ({ ...infoOf(certificate), warnings }));
    },
    async remove(id) {
      refuseOwnKeys(id);
      const { removed } = await store.remove(id);
      if (removed) await store.removeState(id);
      return removed ? { routes: routesOf(id) } : undefined;
    },
    renew: async () => {
      throw needsServer();
    },
    check: async () => {
      throw needsServer();
    },
    async raw(id, withKey) {
      if (id.startsWith(accountKeyId)) {
        const account = accountRows(await store.accounts(), '').find((row) => row.id === id);
        return account && (withKey ? { chain: '', key: account.key } : { chain: '' });
      }
      const found = await find(id);
      return found && (withKey ? { chain: found.chain, key: found.key } : { chain: found.chain });
    },
    async trustRoot() {
      const { createLocalIssuer } = await import('../src/certs/issuer-local.ts');
      return rootOf((await createLocalIssuer({ store, holder: 'oo trust', log: warn }).root()).chain);
    },
  };
}

function needsServer(): CertificateRefusal {
  return new CertificateRefusal(
    409,
    'OO_NEEDS_SERVER',
    'Only a running server can do this.',
    'Start one with oo serve.',
  );
}

function isHost(route: Route, name: string): boolean {
  const id = parseRouteId(route.id);
  return typeof id !== 'string' && id.host.replace(/^\[(.*)\]$/, '$1') === name;
}

function storedDetail(
  id: string,
  certificate: Certificate | undefined,
  state: CertificateState | undefined,
  routes: readonly string[],
): CertificateDetail {
  const failure = state?.lastFailure ?? null;
  const asked = state && state.windowStart > 0 && state.windowEnd > 0 && state.renewSerial === certificate?.serial;
  return {
    ...{
      id,
      names: certificate?.names ?? [id.replace(/\+rsa$/, '')],
      routes,
      stored: true,
      unmet: null,
      running: null,
    },
    certificate: certificate ? infoOf(certificate) : null,
    chain: certificate ? linksOf(certificate.chain) : [],
    keyType: certificate?.keyType ?? (id.endsWith('+rsa') ? 'rsa' : 'ecdsa'),
    source: certificate?.source ?? 'acme',
    directory: certificate?.directory ?? failure?.directory ?? '',
    renewAt: isoOrNull(state?.renewAt ?? 0),
    renewalWindow: asked
      ? { start: iso(state.windowStart), end: iso(state.windowEnd), explanationUrl: state.windowUrl }
      : null,
    failures: state?.failures ?? 0,
    lastFailure: failure && failureInfo(failure),
    nextTryAt: isoOrNull(state?.notBefore ?? 0),
  };
}
