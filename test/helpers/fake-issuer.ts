import {
  type Certificate,
  type IssueContext,
  IssueError,
  type IssueRequest,
  type Issuer,
} from '../../src/certs/types.ts';

export interface FakeIssuer extends Issuer {
  /** How long its certificates are valid, ms. */
  lifetimeMs: number;
  /** Called for each order: throws to fail it, waits to be slow. */
  onIssue?: (request: IssueRequest, context: IssueContext) => unknown;
  /** Every order, in turn. */
  readonly orders: IssueRequest[];
  /** The most that were under way at one time. */
  atOnce: number;
}

const day = 86_400_000;
let serial = 0;

/** A CA that gives certificates of text: for tests of who is asked, when, and what becomes of it. */
export function fakeIssuer(directory = 'https://ca.example/directory', over: Partial<FakeIssuer> = {}): FakeIssuer {
  let running = 0;
  const issuer: FakeIssuer = {
    directory,
    lifetimeMs: 90 * day,
    orders: [],
    atOnce: 0,
    async issue(request, context) {
      issuer.orders.push(request);
      running += 1;
      issuer.atOnce = Math.max(issuer.atOnce, running);
      try {
        context.onStep('order', request.names.join(' '));
        await issuer.onIssue?.(request, context);
        return fakeCertificate({ ...request, now: context.now(), lifetimeMs: issuer.lifetimeMs, directory });
      } finally {
        running -= 1;
      }
    },
    ...over,
  };
  return issuer;
}

/** A certificate whose PEM is only text. `directory` 'local' makes it the local CA's. */
export function fakeCertificate(
  what: Partial<Certificate> & { now?: number; lifetimeMs?: number; id: string },
): Certificate {
  const { id, now = 0, lifetimeMs = 90 * day, directory = 'https://ca.example/directory', names = [id] } = what;
  serial += 1;
  return {
    id,
    names,
    chain: `chain ${serial}`,
    key: `key ${serial}`,
    source: what.source ?? (directory === 'local' ? 'local' : 'acme'),
    keyType: what.keyType ?? 'ecdsa',
    issuer: what.issuer ?? 'Fake CA',
    serial: what.serial ?? String(serial),
    notBefore: what.notBefore ?? now,
    notAfter: what.notAfter ?? now + lifetimeMs,
    directory: directory === 'local' ? '' : directory,
    createdAt: what.createdAt ?? now,
    updatedAt: what.updatedAt ?? now,
  };
}

/** What a CA's refusal looks like. */
export function refusal(over: Partial<IssueError['failure']> = {}): IssueError {
  return new IssueError({
    at: 0,
    step: 'authorization',
    directory: 'https://ca.example/directory',
    message: 'the CA could not connect',
    hint: 'Open port 80.',
    problem: 'connection',
    retryAfter: 0,
    ...over,
  });
}
