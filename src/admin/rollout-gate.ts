import { type GateOrder, gateFault, openGate } from '../core/admission-gate.ts';
import { withGate } from './rollout-plan.ts';
import { byText, type Subject, type Subjects } from './rollout-subject.ts';
import { type GateOutcome, RolloutRefusal } from './rollout-types.ts';
import type { By } from './store.ts';

export interface GatesOptions {
  readonly subjects: Subjects;
  /** Epoch ms. */
  readonly now: () => number;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** Pauses, stops and opens routes and services. */
export class Gates {
  readonly #options: GatesOptions;

  constructor(options: GatesOptions) {
    this.#options = options;
  }

  /**
   * Resolves when all workers go by it.
   * @param gate null opens it
   * @throws RolloutRefusal, StoreFailure
   */
  async set(name: string, gate: GateOrder | null, by: By): Promise<GateOutcome> {
    const fault = gate === null ? undefined : gateFault(gate);
    if (fault !== undefined) {
      const said = `${fault.field} can't be that; expected ${fault.message}.`;
      throw new RolloutRefusal(400, 'OO_BAD_REQUEST', said, 'Nothing was changed.');
    }
    const { subjects } = this.#options;
    await subjects.refresh();
    const subject = subjects.existing(name);
    const changed = gate !== null || this.#isClosed(subject);
    if (changed) {
      const next = withGate(gate === null ? undefined : stored(gate));
      const refused = subject.fault(next(subject.current() ?? {}));
      if (refused !== undefined) throw unusable(subject, refused);
      await subject.change(next, by);
      this.#options.log(`${subject.pool} is ${gate?.state ?? 'open'} (${byText(by)})`);
    }
    return { name: subject.name, kind: subject.kind, gate, changed, notes: this.#notes(subject) };
  }

  /** One that is over is none. */
  #isClosed(subject: Subject): boolean {
    const gate = subject.current()?.rollout?.gate;
    if (!gate || gate.state === 'open') return false;
    const { until = 0 } = gate;
    return until === 0 || until > this.#options.now();
  }

  /** A route's requests pass two gates where it leads to a service. */
  #notes(subject: Subject): string[] {
    const target = subject.current()?.target;
    if (subject.kind !== 'route' || typeof target !== 'string' || !target.startsWith('service://')) return [];
    const slug = target.slice('service://'.length).replace(/\/$/, '');
    const state = this.#options.subjects.service(slug)?.spec.gate?.state;
    return state === undefined ? [] : [`its service ${slug} is ${state}: oo resume ${slug} opens that`];
  }
}

/** As a later oo may have stored it: this one goes by the defaults then, and no gate would hold. */
function unusable({ name }: Subject, fault: string): RolloutRefusal {
  const said = `${name} can't be used as it is stored: ${fault}.`;
  return new RolloutRefusal(409, 'OO_BAD_DEFINITION', said, 'Nothing was changed. Save it anew, as this oo knows it.');
}

/** What is not by default. */
function stored(gate: GateOrder): Partial<GateOrder> & Pick<GateOrder, 'state'> {
  const entries = Object.entries(gate).filter(([field, value]) => value !== openGate[field as keyof GateOrder]);
  return { ...Object.fromEntries(entries), state: gate.state };
}
