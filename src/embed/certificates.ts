import { randomUUID } from 'node:crypto';
import type { AcmeIssuer } from '../certs/issuer.ts';
import { loadAcmeClient } from '../certs/issuer-packages.ts';
import type { CertificateManager, CertificateStatus, ManagerEvent, Unmet } from '../certs/manager-types.ts';
import { answerQuestion } from '../certs/questions.ts';
import { type Certificate, type CertificatePublisher, type CertificateStore, IssueError } from '../certs/types.ts';
import { isLocalName } from '../certs/wanted.ts';
import type { Route } from '../core/types.ts';
import { Asking } from '../edge/asking.ts';
import type { Edge } from '../edge/edge.ts';
import { certificateDirectory } from './certificate-directory.ts';
import { guardStorage } from './certificate-guard.ts';
import { memoryStorage } from './certificate-memory.ts';
import { createRecordStore } from './certificate-store.ts';
import type { CertificateInfo, CertificateNews, CertificateOptions } from './certificate-types.ts';

/** How often a storage is looked at for what other processes have put there, ms. */
const pollMs = 2_000;
const defaultPerHour = 20;

export interface CertificatesOfEdge {
  readonly edge: Edge;
  readonly options: CertificateOptions;
  /** The embedder's, proven. */
  readonly own: readonly Certificate[];
  readonly log: (line: string) => void;
  readonly onNews: (news: CertificateNews) => void;
}

/** The certificates of an edge that listens. */
export interface EmbeddedCertificates {
  /** To be told once the listeners are open, since a CA looks at them, and after every change of the routes. */
  follow(routes: Iterable<Route>): void;
  /** Resolves when these are served, and no others of the embedder's. */
  replaceOwn(own: readonly Certificate[]): Promise<void>;
  list(): CertificateInfo[];
  /** PEM. */
  localRoot(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts the certificate manager for an edge: what is stored is served when this resolves; nothing is ordered before `follow`.
 * @throws TypeError for a CA that can't work, CertificateStorageError
 */
export async function startCertificates(of: CertificatesOfEdge): Promise<EmbeddedCertificates> {
  const { edge, options, log } = of;
  const { createCertificateManager } = await import('../certs/manager.ts');
  const { createLocalIssuer } = await import('../certs/issuer-local.ts');
  const { storage = memoryStorage(), onDemand } = options;
  const store = createRecordStore(
    typeof storage === 'string' ? certificateDirectory(storage) : guardStorage(storage),
    log,
  );
  const shared = options.storage !== undefined;
  const holder = randomUUID();
  const local = options.local === false ? undefined : createLocalIssuer({ store, holder, log });
  const issuers = await acmeIssuers(options, store);
  /** Ids of those that the edge has: one is stored before it is served. */
  const published = new Set<string>();
  const manager = createCertificateManager({
    ...{ store, issuers, local, log },
    publisher: publisherOf(edge, published),
    settings: {
      ...{ holder, shared, keyType: options.keyType },
      wildcards: issuers.length > 0 && listOf(options.acme).every(({ dnsHook }) => dnsHook !== undefined),
      onDemand: onDemand === undefined ? null : { ask: onDemand.ask, perHour: onDemand.perHour ?? defaultPerHour },
    },
    hintFor: ({ name }) => hintFor(name),
    onEvent: (event) => of.onNews(newsOf(event)),
    onTicketKeys: (keys) => edge.setTicketKeys(keys.map(({ key }) => key)),
  });
  // Questions of one name are one, and strangers can't fill the memory with them.
  const asking: Asking = new Asking(async (id, question) => {
    asking.answer(id, await answerQuestion(manager, question).catch(() => false));
  });
  edge.ask = asking.ask;
  let own = of.own;
  const close = async () => {
    clearInterval(timer);
    await manager.stop();
    for (const issuer of issuers) issuer.close();
  };
  let failing = false;
  const poll = () =>
    manager.poll().then(
      () => {
        failing = false;
      },
      (error: Error) => {
        if (!failing) log(`certificates: ${error.message}`);
        failing = true;
      },
    );
  let timer: NodeJS.Timeout | undefined;
  try {
    for (const certificate of own) await store.save(certificate);
    await manager.start([]);
  } catch (error) {
    await close();
    throw error;
  }
  if (shared) timer = setInterval(poll, pollMs).unref();
  return {
    follow: (routes) => manager.routesChanged(routes),
    async replaceOwn(next) {
      const before = own;
      own = next;
      for (const certificate of next) await manager.save(certificate);
      const ids = new Set(next.map(({ id }) => id));
      for (const { id } of before) if (!ids.has(id)) await manager.remove(id);
    },
    list: () => listCertificates(manager, published, Date.now()),
    async localRoot() {
      if (local === undefined) throw new Error('certificates.local is false: there is no local CA');
      return (await local.root()).chain;
    },
    stop: close,
  };
}

/** @throws TypeError */
async function acmeIssuers({ acme }: CertificateOptions, accounts: CertificateStore): Promise<AcmeIssuer[]> {
  const list = listOf(acme);
  if (list.length === 0) return [];
  const { createAcmeIssuer } = await import('../certs/issuer.ts');
  // Now rather than with the first order, which nobody waits for.
  await loadAcmeClient();
  try {
    return list.map(({ email, ...options }) =>
      createAcmeIssuer({ ...options, contact: email, challenges: options.challenges, userAgent: 'oo', accounts }),
    );
  } catch (cause) {
    if (!(cause instanceof IssueError)) throw cause;
    const { message, hint } = cause.failure;
    throw new TypeError(`certificates.acme: ${message}; ${hint}`, { cause });
  }
}

function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
}

/** In this process a change is in force when it is made. */
function publisherOf(edge: Edge, published: Set<string>): CertificatePublisher {
  return {
    async certificates({ save, remove }) {
      edge.certificates.remove(remove);
      edge.certificates.save(save);
      for (const id of remove) published.delete(id);
      for (const { id } of save) published.add(id);
    },
    async challenges({ save, remove }) {
      edge.challenges.remove(remove);
      edge.challenges.save(save);
    },
  };
}

function newsOf(event: ManagerEvent): CertificateNews {
  if (event.type !== 'saved') return event;
  const { id, names, notAfter } = event.certificate;
  return { type: 'saved', id, names, notAfter };
}

function listCertificates(manager: CertificateManager, published: ReadonlySet<string>, now: number): CertificateInfo[] {
  const there = manager.list().map((status) => infoOf(status, published, now));
  const ids = new Set(there.map(({ id }) => id));
  return [...there, ...manager.unmet().flatMap((unmet) => (ids.has(unmet.name) ? [] : unmetInfo(unmet)))];
}

function infoOf(
  { certificate, ...status }: CertificateStatus,
  published: ReadonlySet<string>,
  now: number,
): CertificateInfo {
  const { id, names, source, renewAt, failures, lastFailure } = status;
  return {
    ...{ id, names, source, renewAt, failures },
    served: certificate !== undefined && certificate.notAfter > now && published.has(id),
    issuer: certificate?.issuer ?? '',
    notAfter: certificate?.notAfter ?? 0,
    serial: certificate?.serial ?? '',
    reason: lastFailure?.message ?? '',
    hint: lastFailure?.hint ?? '',
  };
}

/** The hint that the manager gives is one of `oo serve`. */
function unmetInfo({ name, reason }: Unmet): CertificateInfo {
  return {
    ...{ id: name, names: [name], served: false, issuer: '', notAfter: 0, serial: '', renewAt: 0, failures: 0 },
    source: isLocalName(name) ? 'local' : 'acme',
    reason,
    hint: hintFor(name),
  };
}

function hintFor(name: string): string {
  if (name === '*')
    return 'give each host its route, or let hosts get theirs at the first visit: certificates.onDemand';
  if (isLocalName(name)) return 'bring one in certificates.own, or leave certificates.local at its default';
  if (name.startsWith('*.')) return 'bring one in certificates.own, or answer DNS-01: certificates.acme with dnsHook';
  return 'bring one in certificates.own, or name a CA: certificates.acme';
}
