import { runDnsHook } from './dns-hook.ts';
import { alpnServerName, type ChallengeType } from './issuer-names.ts';
import { loadAcmeClient } from './issuer-packages.ts';
import type { Session } from './issuer-session.ts';
import type { Challenge, IssueContext } from './types.ts';

/** An answer to a challenge of the CA's, on display until it is taken down. */
export interface Answer {
  /** Resolves when whoever the CA asks will give it. */
  show(): Promise<void>;
  /** Never rejects: what went wrong is told to `onStep`. */
  takeDown(): Promise<void>;
}

export interface AnswerOptions {
  readonly session: Session;
  readonly context: IssueContext;
  /** Of this issuance; `context.signal` and its time limit. */
  readonly signal: AbortSignal;
  /** '' where there is none. */
  readonly dnsHook: string;
  readonly dnsHookMs: number;
}

/** @param name what is to be proven, without `*.` */
export async function answerFor(
  type: ChallengeType,
  name: string,
  token: string,
  options: AnswerOptions,
): Promise<Answer> {
  const { session, context } = options;
  const content = await session.keyAuthorization(type, token);
  const answer =
    type === 'dns-01' ? dnsAnswer(name, token, content, options) : await ours(type, name, token, content, context);
  return {
    show: answer.show,
    async takeDown() {
      try {
        await answer.takeDown();
      } catch (error) {
        context.onStep('challenge', `${name}: could not take the ${type} answer down: ${(error as Error).message}`);
      }
    },
  };
}

function dnsAnswer(
  domain: string,
  token: string,
  value: string,
  { dnsHook, dnsHookMs, signal }: AnswerOptions,
): Answer {
  const record = { domain, token, value };
  return {
    show: () => runDnsHook(dnsHook, 'present', record, { timeoutMs: dnsHookMs, signal }),
    // Not aborted: what was put up is taken down, whatever happened.
    takeDown: () => runDnsHook(dnsHook, 'cleanup', record, { timeoutMs: dnsHookMs }),
  };
}

async function ours(
  type: 'http-01' | 'tls-alpn-01',
  name: string,
  token: string,
  content: string,
  { present, cleanup }: IssueContext,
): Promise<Answer> {
  const challenge: Challenge =
    type === 'http-01'
      ? { type, name, token, content }
      : { type, name: alpnServerName(name), token, ...(await alpnCertificate(name, content)) };
  return { show: () => present(challenge), takeDown: () => cleanup(challenge) };
}

/** RFC 8737: self-signed, with the digest of the key authorization in an extension. */
async function alpnCertificate(value: string, content: string): Promise<{ chain: string; key: string }> {
  const { crypto } = await loadAcmeClient();
  const identifier = { type: 'dns', value };
  const authorization = { identifier } as Parameters<typeof crypto.createAlpnCertificate>[0];
  const [key, certificate] = await crypto.createAlpnCertificate(
    authorization,
    content,
    // Its default is an RSA key, which takes a second to find.
    await crypto.createPrivateEcdsaKey(),
  );
  return { chain: certificate.toString(), key: key.toString() };
}
