import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type { Directory } from './issuer-directory.ts';
import { createSession, type ExternalAccount, type Nonces, type Session } from './issuer-session.ts';
import { CaProblem, httpsUrl, type Transport } from './issuer-transport.ts';
import { readProblem } from './problem.ts';
import type { AcmeAccount, CertificateStore } from './types.ts';

export interface AccountOptions {
  /** The CA's directory URL. */
  readonly directory: string;
  readonly accounts: Pick<CertificateStore, 'accounts' | 'saveAccount'>;
  /** An e-mail address, or ''. */
  readonly contact: string;
  readonly eab?: ExternalAccount;
  readonly now: () => number;
}

export interface Ca {
  readonly transport: Transport;
  readonly nonces: Nonces;
  readonly directory: Directory;
}

/** The account at one CA. */
export interface Account {
  /** It is looked up, or made, once for all who ask. `signal` aborts the wait for it, and what the session sends. */
  session(ca: Ca, signal: AbortSignal): Promise<Session>;
  /** The CA does not know it: it is registered again with the same key, by the next `session`. @param kid which one was used */
  forget(kid: string): void;
}

const accountMs = 120_000;

/**
 * The key is kept before the CA hears of it, and a CA that is asked to register a key that it knows answers with the account
 * that is there (RFC 8555 §7.3.1): a process that ends in between leaves no account behind that nobody has the key of.
 */
export function createAccount({ directory: url, accounts, contact, eab, now }: AccountOptions): Account {
  let current: Promise<AcmeAccount> | undefined;
  let forgotten = '';

  async function ensure(ca: Ca): Promise<AcmeAccount> {
    const stored = (await accounts.accounts()).find((account) => account.directory === url);
    const account = stored ?? (await keep({ url: '', key: await newKey(), contact }));
    const session = await createSession(ca, { key: account.key, kid: account.url }, AbortSignal.timeout(accountMs));
    const known = account.url !== '' && account.url !== forgotten;
    if (known && (account.contact === contact || (await tellContact(session)))) return keepContact(account);
    if (ca.directory.externalAccountRequired && eab === undefined) throw eabMissing();
    const { headers } = await session.register({ termsOfServiceAgreed: true, ...contactField(contact) }, eab);
    const kid = httpsUrl(headers.location, 'URL of our account at the CA').href;
    return keep({ ...account, url: kid, contact });
  }

  /** @returns false where the CA does not know the account */
  async function tellContact(session: Session): Promise<boolean> {
    try {
      await session.post(session.kid, { contact: [], ...contactField(contact) });
      return true;
    } catch (error) {
      if (!(error instanceof CaProblem)) throw error;
      if (error.problem.type === 'accountDoesNotExist') return false;
      // That it insists on an address is no reason to have no certificates.
      if (contact === '') return true;
      throw error;
    }
  }

  async function keepContact(account: AcmeAccount): Promise<AcmeAccount> {
    return account.contact === contact ? account : keep({ ...account, contact });
  }

  async function keep(account: Pick<AcmeAccount, 'url' | 'key' | 'contact'> & { createdAt?: number }) {
    const time = now();
    const whole = { createdAt: time, ...account, directory: url, updatedAt: time };
    await accounts.saveAccount(whole);
    return whole;
  }

  return {
    async session(ca, signal) {
      if (current === undefined) {
        const fresh = ensure(ca);
        current = fresh;
        fresh.catch(() => {
          if (current === fresh) current = undefined;
        });
      }
      const { key, url: kid } = await unlessAborted(current, signal);
      return createSession(ca, { key, kid }, signal);
    },
    forget(kid) {
      const known = current;
      void known?.then(
        (account) => {
          if (account.url !== kid || current !== known) return;
          forgotten = kid;
          current = undefined;
        },
        () => undefined,
      );
    },
  };
}

/** The promise's value, or the signal's reason as soon as that aborts. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function contactField(contact: string): { contact?: string[] } {
  return contact === '' ? {} : { contact: [`mailto:${contact}`] };
}

async function newKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function eabMissing(): CaProblem {
  return new CaProblem(readProblem({ type: 'urn:ietf:params:acme:error:externalAccountRequired' }, 0), {}, 0);
}
