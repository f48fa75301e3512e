import { X509Certificate } from 'node:crypto';
import { createAccount, unlessAborted } from './issuer-account.ts';
import { checkCertificate, createRequest } from './issuer-certificate.ts';
import { createDirectory, type Directory } from './issuer-directory.ts';
import { type FailureContext, issueError } from './issuer-failure.ts';
import { type ChallengeType, waysFor } from './issuer-names.ts';
import { type Memory, obtain } from './issuer-order.ts';
import { askWindow, certIdOf } from './issuer-renewal.ts';
import { type ExternalAccount, Nonces, type Session } from './issuer-session.ts';
import { CaFault, CaProblem, createTransport, httpsUrl } from './issuer-transport.ts';
import { Turns } from './issuer-turns.ts';
import type { Certificate, CertificateStore, IssueContext, IssueRequest, Issuer, IssueStep } from './types.ts';

export type { ChallengeType } from './issuer-names.ts';
export type { ExternalAccount } from './issuer-session.ts';

/** Bounds, in ms; see `defaultTimeouts`. */
export interface AcmeTimeouts {
  /** One request to the CA. */
  readonly requestMs: number;
  /** The CA's look at the answers to its challenges. */
  readonly validationMs: number;
  /** The CA's making of the certificate. */
  readonly finalizeMs: number;
  /** One run of the DNS hook. */
  readonly dnsHookMs: number;
  /** All of one certificate. */
  readonly issueMs: number;
}

export const defaultTimeouts: AcmeTimeouts = {
  requestMs: 30_000,
  validationMs: 120_000,
  finalizeMs: 120_000,
  dnsHookMs: 300_000,
  issueMs: 900_000,
};

export interface AcmeIssuerOptions {
  /** The CA's directory URL; https. */
  readonly directory: string;
  /** PEM of authorities to be trusted for the CA's own TLS, beside those of Node and of the system. */
  readonly ca?: string;
  /** E-mail address; '' or undefined: none. */
  readonly contact?: string;
  readonly eab?: ExternalAccount;
  /** Undefined or '': the CA's default. */
  readonly profile?: string;
  /** In order of preference; default: http-01, tls-alpn-01, and dns-01 where there is a hook. dns-01 without a hook is left out. */
  readonly challenges?: readonly ChallengeType[];
  /** An executable, see dns-hook.ts. */
  readonly dnsHook?: string;
  /** Default `oo`. */
  readonly userAgent?: string;
  readonly accounts: Pick<CertificateStore, 'accounts' | 'saveAccount'>;
  readonly timeouts?: Partial<AcmeTimeouts>;
}

/** An issuer over ACME; `close` ends its connections. */
export interface AcmeIssuer extends Issuer {
  renewalWindow: NonNullable<Issuer['renewalWindow']>;
  close(): void;
}

/**
 * Gets certificates from a CA by ACME (RFC 8555, 8737, 8738, 9773). Several `issue` at once share one account and its connections.
 * @throws IssueError at once for options that can't work: a directory that is not https, a CA file without certificates
 */
export function createAcmeIssuer(options: AcmeIssuerOptions): AcmeIssuer {
  const { directory: url, accounts, eab, profile = '', contact = '', dnsHook = '' } = options;
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const ways = (options.challenges ?? ['http-01', 'tls-alpn-01', 'dns-01']).filter(
    (way) => way !== 'dns-01' || dnsHook !== '',
  );
  explained({ step: 'directory', now: Date.now() }, () => {
    httpsUrl(url, 'directory URL');
    if (options.ca !== undefined) checkAuthorities(options.ca);
  });
  const transport = createTransport({
    ca: options.ca,
    userAgent: options.userAgent ?? 'oo',
    requestMs: timeouts.requestMs,
  });
  const nonces = new Nonces();
  const directoryAt = createDirectory(url, transport);
  const account = createAccount({ directory: url, accounts, contact, eab, now: Date.now });
  const memory: Memory = new Map();
  const turns = new Turns();

  /** Runs `work`; what it throws becomes an IssueError. */
  function explained<T>(about: Partial<FailureContext> & Pick<FailureContext, 'step' | 'now'>, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw issueError(error, { directory: url, names: [], caaIdentities: [], aborted: false, ...about });
    }
  }

  async function issue(request: IssueRequest, context: IssueContext): Promise<Certificate> {
    const { names } = request;
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(timeouts.issueMs)]);
    let step: IssueStep = 'directory';
    let caaIdentities: readonly string[] = [];
    const at = (now: IssueStep, detail: string) => {
      step = now;
      context.onStep(now, detail);
      // Once it is here a certificate is not thrown away.
      if (now !== 'check') signal.throwIfAborted();
    };
    const attempt = async (mayRepeat: boolean): Promise<Certificate> => {
      at('directory', url);
      const directory = await unlessAborted(directoryAt(context.now()), signal);
      caaIdentities = directory.caaIdentities;
      at('account', url);
      const session = await account.session({ transport, nonces, directory }, signal);
      step = 'order';
      checkProfile(profile, directory, url);
      try {
        return await order(session, directory);
      } catch (error) {
        if (!mayRepeat || !(error instanceof CaProblem) || error.problem.type !== 'accountDoesNotExist') throw error;
        account.forget(session.kid);
        return attempt(false);
      }
    };
    const order = async (session: Session, directory: Directory): Promise<Certificate> => {
      const { key, csr } = await createRequest(names, request.keyType);
      const replaces = replacedBy(request, directory);
      const { dnsHookMs, validationMs, finalizeMs } = timeouts;
      const limits = { dnsHookMs, validationMs, finalizeMs };
      const chain = await obtain(
        { session, directory, context, signal, at, names, replaces, profile, ways, memory, turns, dnsHook, ...limits },
        csr,
      );
      at('check', names.join(', '));
      return checkCertificate(chain, key, request, url, context.now());
    };
    try {
      checkWays(names, ways, dnsHook);
      return await attempt(true);
    } catch (error) {
      const aborted = context.signal.aborted;
      throw issueError(error, { step, directory: url, names, caaIdentities, now: context.now(), aborted });
    }
  }

  /** The CertID for `replaces`, if this CA knows the certificate and such names. */
  function replacedBy({ replaces }: IssueRequest, directory: Directory): string | undefined {
    if (replaces?.directory !== url || directory.renewalInfo === undefined) return undefined;
    return certIdOf(replaces.chain);
  }

  async function renewalWindow(certificate: Certificate, now: number) {
    const about = { step: 'directory', directory: url, names: certificate.names, caaIdentities: [], now } as const;
    if (certificate.directory !== url) return undefined;
    try {
      return await askWindow(transport, await directoryAt(now), certificate, now);
    } catch (error) {
      throw issueError(error, { ...about, aborted: false });
    }
  }

  return { directory: url, issue, renewalWindow, close: () => transport.close() };
}

/** Said before the CA is asked for anything. @throws CaFault */
function checkWays(names: readonly string[], ways: readonly ChallengeType[], dnsHook: string): void {
  const name = names.find((name) => waysFor(name, ways).length === 0);
  if (name === undefined) return;
  if (!name.startsWith('*.'))
    throw new CaFault(
      'OO_ACME_NO_CHALLENGE',
      `there is no way to prove ${name}`,
      '',
      'Allow http-01 or tls-alpn-01: --acme-challenges',
    );
  const hint =
    dnsHook === ''
      ? 'Give a DNS hook: --acme-dns-hook FILE; or save routes for the single names'
      : 'Allow it: --acme-challenges http-01,tls-alpn-01,dns-01';
  throw new CaFault('OO_ACME_NO_CHALLENGE', `the wildcard ${name} can be proven by dns-01 only`, '', hint);
}

/** @throws CaFault */
function checkProfile(profile: string, { profiles }: Directory, url: string): void {
  if (profile === '' || profiles?.includes(profile)) return;
  const offers = profiles === undefined ? 'it has no profiles' : `it has ${profiles.join(', ')}`;
  throw new CaFault(
    'OO_ACME_NO_PROFILE',
    `the CA has no profile ${profile}; ${offers}`,
    new URL(url).host,
    'Give one of its profiles with --acme-profile, or none',
  );
}

/** @throws CaFault */
function checkAuthorities(pem: string): void {
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw new CaFault('OO_ACME_BAD_CA_FILE', 'the CA file holds no certificate in PEM form', '', caFileHint, error);
  }
}

const caFileHint = "Give the root certificate of the CA's own TLS with --acme-ca-file (-----BEGIN CERTIFICATE-----)";
