import { type GateOrder, gateFault, openGate } from './gate-order.ts';
import { compileMembers } from './pool-members.ts';
import { anyNumber, anyText, between, isMapping, oneOf, proven, type Say, show } from './pool-proof.ts';
import type { CompiledCanary, Members, PoolSpec } from './pool-types.ts';
import type { Target } from './types.ts';

const anything = { expected: '', is: () => true };
const rolloutFields = { gate: anything, canary: anything, previous: anything };
const gateFields = {
  state: oneOf(['open', 'paused', 'stopped']),
  message: anyText,
  until: anyNumber,
  maxWaiting: anyNumber,
  maxWaitMs: anyNumber,
};
const canaryFields = { target: anything, percent: between(0, 100), header: anyText };
// RFC 9110 §5.6.2 and §5.5: a name is a token, a value is visible, with blanks inside.
const headerForm = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})(?:=([!-~]+(?:[ \t]+[!-~]+)*))?$/;

/** Proves what `oo deploy`, `pause` and `stop` have made. @param rollout anything; faults never throw */
export function compileRollout(
  rollout: unknown,
  say: Say,
  known: Map<string, Target>,
): Pick<PoolSpec, 'gate' | 'canary'> {
  if (rollout === undefined) return { gate: null, canary: null };
  if (!isMapping(rollout)) {
    say(`rollout is ${show(rollout)}; expected a mapping with gate, canary, previous`);
    return { gate: null, canary: null };
  }
  const { gate, canary, previous } = proven(rollout, 'rollout', rolloutFields, say);
  if (previous !== undefined) membersOf(previous, 'rollout.previous', say, known);
  return {
    gate: gate === undefined ? null : compileGate(gate, say),
    canary: canary === undefined ? null : compileCanary(canary, say, known),
  };
}

function compileGate(gate: unknown, say: Say): GateOrder | null {
  if (!isMapping(gate)) {
    say(`rollout.gate is ${show(gate)}; expected a mapping with state`);
    return null;
  }
  const given = proven(gate, 'rollout.gate', gateFields, say);
  if (gate.state === undefined) say(`rollout.gate.state is missing; expected ${gateFields.state.expected}`);
  const order = Object.freeze({ ...openGate, ...given } as GateOrder);
  const wrong = gateFault(order);
  if (wrong !== undefined) say(`rollout.gate.${wrong.field} is ${show(order[wrong.field])}; expected ${wrong.message}`);
  return order.state === 'open' ? null : order;
}

function compileCanary(canary: unknown, say: Say, known: Map<string, Target>): CompiledCanary | null {
  if (!isMapping(canary)) {
    say(`rollout.canary is ${show(canary)}; expected a mapping with target, and percent or header`);
    return null;
  }
  const { target, percent = 0, header } = proven(canary, 'rollout.canary', canaryFields, say);
  if (target === undefined) say('rollout.canary.target is missing; expected such as http://10.0.0.2:3000');
  const members: Members =
    target === undefined ? { service: '', targets: [] } : membersOf(target, 'rollout.canary.target', say, known);
  const [, name = '', value = ''] = headerForm.exec((header as string | undefined) ?? '') ?? [];
  if (header !== undefined && name === '')
    say(`rollout.canary.header is ${show(header)}; expected name=value, or name`);
  return Object.freeze({ ...members, percent: percent as number, headerName: name.toLowerCase(), headerValue: value });
}

function membersOf(target: unknown, where: string, say: Say, known: Map<string, Target>): Members {
  return compileMembers(target, (message) => say(`${where}: ${message}`), known);
}
