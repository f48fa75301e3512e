import { type Answer, answerFor } from './issuer-answer.ts';
import type { Directory } from './issuer-directory.ts';
import { type ChallengeType, identifierOf, nextWay, waysFor } from './issuer-names.ts';
import { asObject, type Session } from './issuer-session.ts';
import { CaFault, CaProblem } from './issuer-transport.ts';
import type { Turns } from './issuer-turns.ts';
import { normalIp } from './parse.ts';
import { type Problem, readChallengeProblem, readProblem } from './problem.ts';
import type { IssueContext, IssueStep } from './types.ts';

/** What worked last, for the process's life: by name, and for any name under ''. */
export type Memory = Map<string, ChallengeType>;

export interface OrderOptions {
  readonly session: Session;
  readonly directory: Directory;
  readonly context: IssueContext;
  /** `context.signal` and the time limit of the whole. */
  readonly signal: AbortSignal;
  /** Tells what is done now, for the log and for an error to say where it happened. */
  readonly at: (step: IssueStep, detail: string) => void;
  readonly names: readonly string[];
  /** The CertID of the certificate that is to be replaced; undefined: none, or the CA has no ARI. */
  readonly replaces: string | undefined;
  readonly profile: string;
  /** The ways to prove a name, the preferred first. */
  readonly ways: readonly ChallengeType[];
  readonly memory: Memory;
  readonly turns: Turns;
  readonly dnsHook: string;
  readonly dnsHookMs: number;
  readonly validationMs: number;
  readonly finalizeMs: number;
}

/** A way that failed for a name. */
export interface FailedWay {
  readonly name: string;
  readonly way: ChallengeType;
  /** The ways that the CA takes for this name. */
  readonly offered: readonly string[];
  readonly problem: Problem;
}

/** Names that could not be proven in any way. */
export class NotProven extends Error {
  readonly failed: readonly FailedWay[];

  constructor(failed: readonly FailedWay[]) {
    super(failed.map(({ name, way, problem }) => `${name}: ${way}: ${problem.type}`).join('; '));
    this.failed = failed;
  }
}

interface Authorization {
  readonly url: string;
  readonly name: string;
  readonly status: string;
  readonly challenges: readonly { readonly type: string; readonly url: string; readonly token: string }[];
}

type Order = Record<string, unknown>;

const maxMemory = 10_000;
/** Each of the three ways fails at most once, and one more that is good. */
const maxRounds = 4;
// Answers to a `replaces` that the CA can't do with; another refusal would be the same without it.
const replacesRefused = new Set(['alreadyReplaced', 'malformed', 'conflict', 'unauthorized', '']);

/**
 * Orders, proves the names, finalizes.
 * @param csr DER in base64url
 * @returns the certificate chain as the CA sends it, PEM
 * @throws NotProven, CaProblem, CaFault, or what showing an answer threw
 */
export async function obtain(options: OrderOptions, csr: string): Promise<string> {
  // A CA gives the order that is under way to whoever asks for the same names, and it takes one request only: those for the two
  // kinds of key come one after the other.
  const endTurn = await options.turns.take([`order ${[...options.names].sort().join(' ')}`], options.signal);
  try {
    return await order(options, csr);
  } finally {
    endTurn();
  }
}

async function order(options: OrderOptions, csr: string): Promise<string> {
  const failed: FailedWay[] = [];
  let { replaces } = options;
  for (let round = 1; ; round++) {
    const created = await newOrder(options, replaces);
    replaces = created.replaces;
    // A CA makes the order and its authorizations invalid with the first challenge that fails: the next way needs a new order.
    const failures = created.order.status === 'pending' ? await prove(created.order, options, failed) : [];
    if (failures.length === 0) return finalize(created.url, created.order, csr, options);
    failed.push(...failures);
    const lost = failures.filter((failure) => round === maxRounds || nextFor(failure, options, failed) === undefined);
    if (lost.length > 0) throw new NotProven(failed.filter(({ name }) => lost.some((one) => one.name === name)));
  }
}

async function newOrder(
  { session, directory, at, names, profile }: OrderOptions,
  replaces: string | undefined,
): Promise<{ url: string; order: Order; replaces: string | undefined }> {
  at('order', names.join(', '));
  const fields = { identifiers: names.map(identifierOf), ...(profile === '' ? {} : { profile }) };
  try {
    const { data, headers } = await session.post(directory.newOrder, replaces ? { ...fields, replaces } : fields);
    return { url: headers.location ?? '', order: asObject(data, directory.newOrder), replaces };
  } catch (error) {
    if (replaces === undefined || !(error instanceof CaProblem) || !replacesRefused.has(error.problem.type))
      throw error;
    return newOrder({ session, directory, at, names, profile } as OrderOptions, undefined);
  }
}

/** @param before what has failed in earlier orders @returns what failed now; empty: all names are proven */
async function prove(order: Order, options: OrderOptions, before: readonly FailedWay[]): Promise<FailedWay[]> {
  const { turns, signal, at } = options;
  const urls = Array.isArray(order.authorizations) ? (order.authorizations as string[]) : [];
  const authorizations = await Promise.all(urls.map((url) => readAuthorization(url, options.session)));
  const pending = authorizations.filter(({ status }) => status !== 'valid');
  const plan = pending.map((authorization) => ({ authorization, way: wayFor(authorization, options, before) }));
  const alpn = plan.filter(({ way }) => way === 'tls-alpn-01').map(({ authorization }) => authorization.name);
  const endTurn = await turns.take(alpn, signal);
  const answers: Answer[] = [];
  try {
    const proofs = await settle(
      plan.map(async ({ authorization, way }) => {
        const challenge = authorization.challenges.find(({ type }) => type === way)!;
        const name = authorization.name.replace('*.', '');
        const answer = await answerFor(way, name, challenge.token, options);
        answers.push(answer);
        at('challenge', `${authorization.name}: ${way}`);
        await answer.show();
        return { authorization, way, url: challenge.url };
      }),
    );
    signal.throwIfAborted();
    const results = await settle(proofs.map((proof) => check(proof, options)));
    return results.filter((result) => result !== undefined);
  } finally {
    await Promise.all(answers.map((answer) => answer.takeDown()));
    endTurn();
  }
}

/** All of them, also after the first that rejects: no answer may go up after they were taken down, or down while the CA looks. */
async function settle<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  const rejected = results.find((result) => result.status === 'rejected');
  if (rejected !== undefined) throw rejected.reason;
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}

/** Has the CA look at the answer. @returns undefined when it is content */
async function check(
  proof: { authorization: Authorization; way: ChallengeType; url: string },
  { session, at, memory, validationMs, context }: OrderOptions,
): Promise<FailedWay | undefined> {
  const { authorization, way, url } = proof;
  const { name } = authorization;
  at('authorization', `${name}: ${way}`);
  await session.post(url, {});
  const done = await session.poll(authorization.url, ({ status }) => status !== 'pending', validationMs);
  if (done.status === 'valid') {
    if (memory.size > maxMemory) memory.clear();
    memory.set(name, way);
    // A wildcard's way was no choice, and says nothing about others.
    if (!name.startsWith('*.')) memory.set('', way);
    return undefined;
  }
  const challenges = (Array.isArray(done.challenges) ? done.challenges : []) as Record<string, unknown>[];
  const error = challenges.find((challenge) => challenge?.type === way)?.error;
  const fallback = { detail: `the authorization is ${String(done.status)}` };
  const offered = authorization.challenges.map(({ type }) => type);
  const failure = { name, way, offered, problem: readChallengeProblem(error ?? fallback) };
  context.onStep('authorization', `${name}: ${way} failed: ${failure.problem.type} ${failure.problem.detail}`);
  return failure;
}

/** @param failed in earlier orders, of any name */
function nextFor(
  { name, offered }: Pick<FailedWay, 'name' | 'offered'>,
  { ways, memory }: OrderOptions,
  failed: readonly FailedWay[],
): ChallengeType | undefined {
  const own = failed.filter((failure) => failure.name === name);
  return nextWay(waysFor(name, ways), offered, {
    failed: new Map(own.map(({ way, problem }) => [way, problem.type])),
    worked: memory.get(name) ?? memory.get(''),
  });
}

function wayFor(
  { name, challenges }: Authorization,
  options: OrderOptions,
  before: readonly FailedWay[],
): ChallengeType {
  const offered = challenges.map(({ type }) => type);
  const way = nextFor({ name, offered }, options, before);
  if (way !== undefined) return way;
  const wanted = offered.join(' or ') || 'nothing that is known here';
  throw new CaFault(
    'OO_ACME_NO_CHALLENGE',
    `the CA wants ${name} proven by ${wanted}; what can be used here is ${waysFor(name, options.ways).join(', ')}`,
    '',
    'See --acme-challenges; dns-01 needs --acme-dns-hook',
  );
}

async function readAuthorization(url: string, session: Session): Promise<Authorization> {
  const data = asObject((await session.post(url, null)).data, url);
  const { value } = asObject(data.identifier, url);
  const challenges = Array.isArray(data.challenges) ? data.challenges : [];
  const plain = normalIp(String(value)) ?? String(value);
  return {
    url,
    name: data.wildcard === true ? `*.${plain}` : plain,
    status: String(data.status),
    challenges: challenges
      .map((one) => asObject(one, url))
      // RFC 8555 §8.1 and §8.3: the token becomes part of a path, so it is looked at.
      .filter(({ token }) => typeof token === 'string' && /^[A-Za-z0-9_-]{1,256}$/.test(token))
      .map((one) => ({ type: String(one.type), url: String(one.url), token: String(one.token) })),
  };
}

async function finalize(url: string, order: Order, csr: string, options: OrderOptions): Promise<string> {
  const { session, at, finalizeMs } = options;
  const wait = (until: readonly string[]) =>
    session.poll(url, ({ status }) => until.includes(String(status)) || status === 'invalid', finalizeMs);
  at('finalize', options.names.join(', '));
  const ready = order.status === 'pending' ? await wait(['ready', 'processing', 'valid']) : order;
  if (ready.status === 'ready') {
    try {
      await session.post(String(ready.finalize), { csr });
    } catch (error) {
      // A request that was repeated finds the order finalized by the first: see how that went.
      if (!(error instanceof CaProblem) || error.problem.type !== 'orderNotReady') throw error;
    }
  }
  const done = ready.status === 'invalid' ? ready : await wait(['valid']);
  if (done.status === 'invalid')
    throw new CaProblem(readProblem(done.error ?? { detail: 'the order has become invalid' }, 0), {}, 0);
  at('download', options.names.join(', '));
  const { data } = await session.post(String(done.certificate), null);
  return String(data);
}
