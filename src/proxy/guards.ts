import type { FailureCode } from '../core/failure.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { Field } from '../core/option-cors.ts';
import { decideGuard, type PasswordStep, type RefuseStep, type ReplyStep } from '../core/option-guard.ts';
import type { CompiledRateLimit } from '../core/option-rate-limit.ts';
import { RateLimiter } from '../core/rate-limit.ts';
import type { CompiledRoute } from '../core/types.ts';
import { type AuthAnswer, ProxyAsker } from './auth.ts';
import type { ProxyClient } from './client.ts';
import { ProxyPasswords, type Verdict } from './passwords.ts';
import type { VerifyPassword } from './types.ts';

/** An answer in the upstream's place. */
export type GuardAnswer = (RefuseStep | ReplyStep) & {
  /** For the log. */
  readonly cause?: unknown;
};

/** It is let in; its upstream gets these fields in the place of the client's of the names that the route copies. */
export interface LetIn {
  readonly kind: 'pass';
  readonly copied: readonly Field[];
}

const nothingCopied: LetIn = Object.freeze({ kind: 'pass', copied: Object.freeze([]) });

/** What the guards of all routes share, and what they know of those who came before. */
export class ProxyGuards {
  readonly asker: ProxyAsker;
  /** Null where there is nothing to compare by: no route has passwords then. */
  readonly passwords: ProxyPasswords | null;
  private readonly now: () => number;
  private latest = 0;
  /** By the route's id, so that they outlive changes of anything else. */
  private readonly rates = new Map<string, { readonly text: string; readonly limiter: RateLimiter }>();

  constructor(verify: VerifyPassword | undefined, send: typeof fetch, now: () => number) {
    this.asker = new ProxyAsker(send);
    this.passwords = verify === undefined ? null : new ProxyPasswords(verify, now);
    this.now = now;
  }

  /** Leads a request past the guards of its route, in their order. */
  async meet(route: CompiledRoute, options: CompiledOptions, client: ProxyClient): Promise<LetIn | GuardAnswer> {
    if (client.peer === '' && needsAddress(options)) return unknownPeer();
    let letIn = nothingCopied;
    const take = (rate: CompiledRateLimit, key: string) => this.take(route.id, rate, key);
    for (const name of options.guards) {
      const step = decideGuard(options, name, client, take);
      if (step === null) continue;
      if (step.kind === 'refuse' || step.kind === 'reply') return step;
      const said = step.kind === 'ask' ? await this.ask(options, client) : await this.compare(step, client);
      if (said.kind !== 'pass') return said;
      if (step.kind === 'ask') letIn = said;
    }
    return letIn;
  }

  private async ask({ forwardAuth }: CompiledOptions, client: ProxyClient): Promise<LetIn | GuardAnswer> {
    const answer = await this.asker.ask(forwardAuth!, client);
    if (answer.kind === 'let-in') return { kind: 'pass', copied: answer.fields };
    return answer.kind === 'failed' ? failed(answer.code, answer.cause) : passOn(answer);
  }

  private async compare(step: PasswordStep, client: ProxyClient): Promise<LetIn | GuardAnswer> {
    if (this.passwords === null) throw new TypeError('there is nothing to compare passwords by');
    const { known, password, orElse } = step;
    const verdict: Verdict = await this.passwords.check(known, password, client.address, client.request.signal);
    if (verdict === 'right') return nothingCopied;
    return verdict === 'wrong' ? orElse : failed('OO_AUTH_BUSY', verdict.busy);
  }

  private take(id: string, rate: CompiledRateLimit, key: string): number {
    let known = this.rates.get(id);
    if (known?.text !== rate.text) {
      known = { text: rate.text, limiter: new RateLimiter(rate) };
      this.rates.set(id, known);
    }
    // The system's clock may be put back.
    this.latest = Math.max(this.latest, this.now());
    return known.limiter.take(key, this.latest);
  }

  /** The table has changed. @param rateOf by a route's id; null for none */
  onChange(rateOf: (id: string) => CompiledRateLimit | null): void {
    for (const id of this.rates.keys()) if (rateOf(id) === null) this.rates.delete(id);
  }
}

function needsAddress({ access, rateLimit }: CompiledOptions): boolean {
  return access !== null || rateLimit?.by.kind === 'ip';
}

/** Nobody's address is in no range: with a `deny` alone, all would be let in. */
function unknownPeer(): GuardAnswer {
  const why = "access and rateLimit need the client's address, which this runtime does not tell: give clientIp";
  return failed('OO_INTERNAL', new TypeError(why));
}

function failed(code: FailureCode, cause: unknown): GuardAnswer {
  return { kind: 'refuse', code, fields: [], retryAfter: 0, detail: '', cause };
}

/** What the authorization server says in its own words. */
function passOn({ status, fields, body }: AuthAnswer & { kind: 'answer' }): GuardAnswer {
  const isSaid = fields.some(([name]) => name.toLowerCase() === 'cache-control');
  const kept: GuardAnswer['fields'] = isSaid ? fields : [...fields, ['Cache-Control', 'no-store']];
  return { kind: 'reply', status, fields: kept, body: status === 304 ? null : body };
}
