import type { FailureCode } from '../core/failure.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import { decideGuard, type RefuseStep, type ReplyStep } from '../core/option-guard.ts';
import { dropFields } from '../core/option-header-rules.ts';
import type { CompiledRoute } from '../core/types.ts';
import { nowMs } from './clock.ts';
import type { Upstream } from './downstream.ts';
import type { Edge } from './edge.ts';
import type { AuthAnswer } from './guard-asker.ts';
import type { Verdict } from './guard-passwords.ts';
import type { GuardRequest } from './guard-request.ts';

/** An answer in the upstream's place. */
export type GuardAnswer = (RefuseStep | ReplyStep) & {
  /** For the log. */
  readonly cause?: string;
};

/**
 * One request on its way past the guards of its route. It remembers which it has passed: a request that waits starts over, and is neither asked nor
 * counted twice.
 */
export class GuardVisit {
  readonly options: CompiledOptions;
  /** It has had to wait for one. */
  hasWaited = false;
  private readonly edge: Edge;
  private readonly routeId: string;
  /** Starts the request over. */
  private readonly resume: () => void;
  /** How many guards it has passed. */
  private passed = 0;
  /** What one has said later. */
  private late: GuardAnswer | null = null;
  /** Takes back what it waits for. */
  private cancel: (() => void) | null = null;
  /** Lines that the upstream gets in the place of the client's fields, with their ends. */
  private copied = '';

  constructor(edge: Edge, route: CompiledRoute, options: CompiledOptions, resume: () => void) {
    this.edge = edge;
    this.routeId = route.id;
    this.options = options;
    this.resume = resume;
  }

  /** @returns `pass`, `wait` (it starts over when that is known), or what it is answered */
  next(request: GuardRequest): 'pass' | 'wait' | GuardAnswer {
    if (this.late !== null) return this.late;
    const { guards } = this.options;
    for (; this.passed < guards.length; this.passed++) {
      const step = decideGuard(this.options, guards[this.passed], request, this.take);
      if (step === null) continue;
      if (step.kind === 'refuse' || step.kind === 'reply') return step;
      if (step.kind === 'ask') return this.wait(this.edge.guards.asker.ask(step.auth, request, this.onAnswer));
      const { known, password, orElse } = step;
      const onVerdict = (verdict: Verdict): void => this.goOn(answerOf(verdict, orElse));
      const said = this.edge.guards.passwords.check(known, password, request.address, onVerdict);
      if (typeof said === 'function') return this.wait(said);
      const answer = answerOf(said, orElse);
      if (answer !== null) return answer;
    }
    return 'pass';
  }

  private readonly take = (rate: Parameters<Edge['guards']['take']>[1], key: string): number =>
    this.edge.guards.take(this.routeId, rate, key, this.edge.place, nowMs());

  private wait(cancel: () => void): 'wait' {
    this.cancel = cancel;
    this.hasWaited = true;
    return 'wait';
  }

  private readonly onAnswer = (answer: AuthAnswer): void => {
    if (answer.kind === 'let-in') {
      for (const [name, value] of answer.fields) this.copied += `${name}: ${value}\r\n`;
      this.goOn(null);
    } else if (answer.kind === 'failed') this.goOn(failed(answer.code, answer.cause));
    else this.goOn(passOn(answer));
  };

  /** @param answer null: it is let through */
  private goOn(answer: GuardAnswer | null): void {
    this.cancel = null;
    this.late = answer;
    if (answer === null) this.passed++;
    this.resume();
  }

  /** Its client has left, or the request is answered otherwise. */
  leave(): void {
    this.cancel?.();
    this.cancel = null;
  }

  /** Whether the head that the upstream gets is another by what the authorization server said. */
  get changesHead(): boolean {
    const auth = this.options.forwardAuth;
    return auth !== null && auth.copies.length > 0;
  }

  /**
   * Puts into the head for `up` what is copied. Whatever the client says by these names goes, also where the answer says nothing.
   * @param length of the head as it is there, in `up.out`
   * @returns its new length
   */
  writeCopied(up: Upstream, length: number): number {
    const names = new Set(this.options.forwardAuth?.copies);
    const kept = dropFields(up.out.toString('latin1', 0, length - 2), names);
    const head = `${kept}${this.copied}\r\n`;
    const out = head.length > up.out.length ? up.headRoom(head.length) : up.out;
    return out.write(head, 0, 'latin1');
  }
}

/** @returns null: it was right */
function answerOf(verdict: Verdict, orElse: RefuseStep): GuardAnswer | null {
  if (verdict === 'right') return null;
  return verdict === 'wrong' ? orElse : failed('OO_AUTH_BUSY', 'too many passwords wait to be compared');
}

function failed(code: FailureCode, cause: string): GuardAnswer {
  return { kind: 'refuse', code, fields: [], retryAfter: 0, detail: '', cause };
}

/** What the authorization server says in its own words. */
function passOn({ status, fields, body }: AuthAnswer & { kind: 'answer' }): GuardAnswer {
  const isSaid = fields.some(([name]) => name.toLowerCase() === 'cache-control');
  const kept: GuardAnswer['fields'] = isSaid ? fields : [...fields, ['Cache-Control', 'no-store']];
  return { kind: 'reply', status, fields: kept, body: status === 304 ? null : body };
}
