import { setTimeout as sleep } from 'node:timers/promises';
import type { Directory } from './issuer-directory.ts';
import { loadAcmeClient } from './issuer-packages.ts';
import { type Answer, CaFault, CaProblem, httpsUrl, retryAfterOf, type Transport } from './issuer-transport.ts';

/** What we use of acme-client's Client beside its crypto: the signing of requests. Its own typings leave `http` out. */
interface Signer {
  http: {
    request(url: string, method: string, options?: { data?: unknown }): Promise<Answer>;
    signedRequest(
      url: string,
      payload: unknown,
      options: { kid: string | null; nonce: string; includeExternalAccountBinding?: boolean },
    ): Promise<Answer>;
  };
  getChallengeKeyAuthorization(challenge: { type: string; token: string }): Promise<string>;
}

export interface ExternalAccount {
  readonly kid: string;
  /** Base64url, as CAs show it. */
  readonly hmacKey: string;
}

/** Unused nonces that the CA has given us; the newest is used first, and old ones not at all: a CA forgets them, too. */
export class Nonces {
  #unused: { readonly nonce: string; readonly at: number }[] = [];

  /** @param now ms of any clock that does not go back */
  take(now: number): string | undefined {
    const last = this.#unused.pop();
    if (last === undefined || now - last.at <= maxNonceAgeMs) return last?.nonce;
    this.#unused = [];
    return undefined;
  }

  keep(nonce: unknown, now: number): void {
    if (typeof nonce !== 'string' || nonce === '') return;
    this.#unused.push({ nonce, at: now });
    if (this.#unused.length > maxNonces) this.#unused.shift();
  }
}

/** Signed requests in one account's name. */
export interface Session {
  /** The account's URL. */
  readonly kid: string;
  /** @param payload null: POST-as-GET. @throws CaProblem, CaFault, or the signal's reason */
  post(url: string, payload: object | null): Promise<Answer>;
  /** Signed with the key itself, since there is no account URL yet. @param eab binds an account at the CA */
  register(payload: object, eab?: ExternalAccount): Promise<Answer>;
  /** RFC 8555 §8.1; of dns-01, the value of the TXT record. */
  keyAuthorization(type: string, token: string): Promise<string>;
  /**
   * Asks for a resource again and again until it is done: with growing pauses, or those that the CA asks for.
   * @throws CaFault after `limitMs`
   */
  poll(
    url: string,
    isDone: (data: Record<string, unknown>) => boolean,
    limitMs: number,
  ): Promise<Record<string, unknown>>;
}

const maxNonces = 64;
const maxNonceAgeMs = 120_000;
// With half of all nonces refused, one in a million requests fails.
const maxBadNonces = 20;
const maxRepeats = 2;
const repeatMs = 500;
const maxRepeatMs = 10_000;
const firstPollMs = 100;
const maxPollMs = 5_000;
const maxAskedPollMs = 30_000;

/**
 * @param key the account's, PEM @param kid the account's URL; '' while there is none
 * @param signal aborts: nothing more is sent
 */
export async function createSession(
  { transport, nonces, directory }: { transport: Transport; nonces: Nonces; directory: Directory },
  { key, kid }: { key: string; kid: string },
  signal: AbortSignal,
): Promise<Session> {
  const { Client } = await loadAcmeClient();

  function signerFor(eab?: ExternalAccount): Signer {
    const externalAccountBinding = eab && { kid: eab.kid, hmacKey: eab.hmacKey };
    const client = new Client({ directoryUrl: directory.newNonce, accountKey: key, externalAccountBinding });
    const signer = client as unknown as Signer;
    signer.http.request = async (url, _method, options) => {
      const ask = { method: 'POST', url, body: JSON.stringify(options?.data), signal } as const;
      try {
        const answer = await transport.send(ask);
        nonces.keep(answer.headers['replay-nonce'], performance.now());
        return answer;
      } catch (error) {
        if (error instanceof CaProblem) nonces.keep(error.headers['replay-nonce'], performance.now());
        throw error;
      }
    };
    return signer;
  }

  async function nonce(): Promise<string> {
    const unused = nonces.take(performance.now());
    if (unused !== undefined) return unused;
    const { headers } = await transport.send({ method: 'HEAD', url: directory.newNonce, signal });
    const fresh = headers['replay-nonce'];
    if (typeof fresh === 'string' && fresh !== '') return fresh;
    throw new CaFault('OO_ACME_NO_NONCE', 'the CA gave no nonce', new URL(directory.newNonce).host);
  }

  async function signed(by: Signer, url: string, payload: object | null, kid: string | null, withEab: boolean) {
    const { href } = httpsUrl(url, "URL of the CA's");
    for (let refused = 0, broken = 0; ; ) {
      signal.throwIfAborted();
      try {
        // A copy: acme-client puts the binding into it.
        const body = payload && { ...payload };
        const options = { kid, nonce: await nonce(), includeExternalAccountBinding: withEab };
        return await by.http.signedRequest(href, body, options);
      } catch (error) {
        if (error instanceof CaProblem && error.problem.type === 'badNonce' && refused++ < maxBadNonces) continue;
        const pause = pauseAfter(error, broken++, Date.now());
        if (pause === undefined) throw error;
        await wait(pause, signal);
      }
    }
  }

  const signer = signerFor();
  const session: Session = {
    kid,
    post: (url, payload) => signed(signer, url, payload, kid, false),
    register: (payload, eab) => signed(eab ? signerFor(eab) : signer, directory.newAccount, payload, null, true),
    keyAuthorization: (type, token) => signer.getChallengeKeyAuthorization({ type, token }),
    async poll(url, isDone, limitMs) {
      const end = performance.now() + limitMs;
      for (let pause = firstPollMs; ; pause = Math.min(pause * 1.5, maxPollMs)) {
        const { data, headers } = await session.post(url, null);
        const item = asObject(data, url);
        if (isDone(item)) return item;
        const now = Date.now();
        const asked = Math.min(retryAfterOf(headers, now) - now, maxAskedPollMs);
        const left = end - performance.now();
        if (left <= 0)
          throw new CaFault(
            'OO_ACME_SLOW',
            `not done by the CA within ${limitMs / 1000} s`,
            new URL(url).host,
            slowHint,
          );
        await wait(Math.min(Math.max(pause, asked), left), signal);
      }
    },
  };
  return session;
}

const slowHint = "The CA is slow, or looks at the challenge for long; it's tried again, with growing pauses";

/** @throws CaFault unless it is a JSON object */
export function asObject(data: unknown, url: string): Record<string, unknown> {
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Record<string, unknown>;
  const message = `the CA answers something other than was asked for (${new URL(url).pathname})`;
  throw new CaFault('OO_ACME_NOT_JSON', message, new URL(url).host, 'Is the directory URL right (--acme)?');
}

/** Waits; rejects with the signal's reason. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw signal.reason;
  }
}

/**
 * How long until the same may be asked once more; undefined: not at all. Every request of ours may be repeated: at worst there
 * are two orders, and one is never used.
 */
function pauseAfter(error: unknown, repeats: number, now: number): number | undefined {
  if (repeats >= maxRepeats) return undefined;
  const own = repeatMs * 2 ** repeats;
  if (error instanceof CaFault) return error.code === 'ECONNRESET' || error.code === 'EPIPE' ? own : undefined;
  if (!(error instanceof CaProblem) || error.problem.status < 500 || error.problem.type === 'rateLimited')
    return undefined;
  const asked = error.retryAfter - now;
  if (asked > maxRepeatMs) return undefined;
  return Math.max(own, asked);
}
