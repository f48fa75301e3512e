import { createServer as createHttpServer } from 'node:http';
import type { Server } from 'node:net';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import * as assert from 'uvu/assert';
import { type AcmeIssuer, type AcmeIssuerOptions, createAcmeIssuer } from '../../src/certs/issuer.ts';
import {
  type AcmeAccount,
  type Challenge,
  challengeKey,
  type IssueContext,
  IssueError,
  type IssueFailure,
  type IssueRequest,
  type IssueStep,
} from '../../src/certs/types.ts';
import type { AcmeFront } from '../helpers/acme-front.ts';
import type { Pebble } from '../helpers/pebble.ts';
import { within } from '../helpers/wait.ts';

/** Everything here is bounded by it. */
const testMs = 30_000;

/** Answers challenges where pebble looks for them, as the edge does. */
export interface Answers {
  readonly present: (challenge: Challenge) => Promise<void>;
  readonly cleanup: (challenge: Challenge) => Promise<void>;
  /** What is shown now, by `challengeKey`. */
  readonly shown: Map<string, Challenge>;
  /** Everything that ever was shown. */
  readonly ever: Challenge[];
  /** Switched off, HTTP answers 404 and TLS has no certificate. */
  http: boolean;
  alpn: boolean;
}

/** Listens on pebble's `httpPort` and `tlsPort`; for the life of the process, which it does not keep up. */
export async function startAnswers(pebble: Pebble, host = '127.0.0.1'): Promise<Answers> {
  const shown = new Map<string, Challenge>();
  const answers: Answers = {
    shown,
    ever: [],
    http: true,
    alpn: true,
    async present(challenge) {
      shown.set(challengeKey(challenge), challenge);
      answers.ever.push(challenge);
    },
    async cleanup(challenge) {
      shown.delete(challengeKey(challenge));
    },
  };
  const http = createHttpServer((request, response) => {
    const token = /^\/\.well-known\/acme-challenge\/([\w-]+)$/.exec(request.url ?? '')?.[1] ?? '';
    const challenge = answers.http ? shown.get(`http-01 ${token}`) : undefined;
    if (challenge?.type === 'http-01') response.end(challenge.content);
    else response.writeHead(404).end('no such token');
  });
  const tls = createTlsServer({
    ALPNProtocols: ['acme-tls/1'],
    SNICallback: (name, done) => {
      const challenge = answers.alpn ? shown.get(`tls-alpn-01 ${name}`) : undefined;
      if (challenge?.type !== 'tls-alpn-01') return done(new Error(`nothing for ${name}`));
      done(null, createSecureContext({ cert: challenge.chain, key: challenge.key }));
    },
  });
  const listen = (server: Server, port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => resolve());
      server.unref();
    });
  await Promise.all([listen(http, pebble.httpPort), listen(tls, pebble.tlsPort)]);
  return answers;
}

/** Accounts in memory. */
export function memoryAccounts() {
  const all = new Map<string, AcmeAccount>();
  /** What was saved, in order. */
  const saved: AcmeAccount[] = [];
  return {
    saved,
    async accounts() {
      return [...all.values()];
    },
    async saveAccount(account: AcmeAccount) {
      saved.push(account);
      all.set(account.directory, account);
    },
  };
}

/** An issuer for pebble, or for a front of it. */
export function issuerOf(ca: Pebble | AcmeFront, options: Partial<AcmeIssuerOptions> = {}): AcmeIssuer {
  return createAcmeIssuer({ directory: ca.directory, ca: ca.ca, accounts: memoryAccounts(), ...options });
}

export interface Steps {
  readonly step: IssueStep;
  readonly detail: string;
}

/** What issuance needs around it. */
export function contextOf(answers: Pick<Answers, 'present' | 'cleanup'>, more: Partial<IssueContext> = {}) {
  const steps: Steps[] = [];
  const context: IssueContext = {
    now: Date.now,
    present: answers.present,
    cleanup: answers.cleanup,
    onStep: (step, detail) => steps.push({ step, detail }),
    signal: new AbortController().signal,
    ...more,
  };
  return { ...context, steps };
}

/** A request for these names, with defaults. */
export function requestFor(names: readonly string[], more: Partial<IssueRequest> = {}): IssueRequest {
  return { id: names[0], names, keyType: 'ecdsa', ...more };
}

export function issue(
  issuer: AcmeIssuer,
  names: readonly string[],
  answers: Pick<Answers, 'present' | 'cleanup'>,
  more: Partial<IssueRequest> = {},
) {
  return within(issuer.issue(requestFor(names, more), contextOf(answers)), `a certificate for ${names}`, testMs);
}

/** The failure that the promise ends with. */
export async function failureOf(promise: Promise<unknown>): Promise<IssueFailure> {
  try {
    await within(promise, 'an IssueError', testMs);
  } catch (error) {
    if (!(error instanceof IssueError)) throw error;
    assert.ok(error.failure.message !== '' && error.failure.hint !== '', JSON.stringify(error.failure));
    assert.not.match(error.failure.message, /[\r\n]/);
    return error.failure;
  }
  throw new Error('it did not fail');
}
