import { handlerLabel } from '../src/core/option-handler.ts';
import type { Canary, Rollout, TargetSpec } from '../src/core/pool-types.ts';
import type { Route } from '../src/core/types.ts';
import { printable } from './output.ts';

/** Of a longer list the first few are shown. */
const shown = 5;

/**
 * Where a route's requests go, and behind it, in brackets, whether they do just now.
 * @param now epoch ms
 */
export function targetText(route: Route, now: number): string {
  const { target, rollout, handler } = route;
  const by = handler === undefined ? [] : [`handler ${handlerLabel(handler)}`];
  const where = target !== undefined ? targetsText(target) : (by.shift() ?? ownAnswer(route));
  return [where, ...by.map((text) => `[${printable(text)}]`), ...stateTexts(rollout ?? {}, now)].join(' ');
}

/** What a route without a target does. */
function ownAnswer({ redirect, respond }: Route): string {
  if (redirect !== undefined) return `redirect to ${printable(typeof redirect === 'string' ? redirect : redirect.to)}`;
  return `answer ${typeof respond === 'object' ? (respond.status ?? 200) : 200}`;
}

/** `http://a:1 (3), http://b:2 (1, priority 1)`: one target as it was given; a weight of 1 and the first priority are not said. */
export function targetsText(target: TargetSpec): string {
  if (typeof target === 'string') return target;
  const more = target.length > shown ? [`and ${target.length - shown} more`] : [];
  return [...target.slice(0, shown).map(oneText), ...more].join(', ');
}

function oneText(one: Exclude<TargetSpec, string>[number]): string {
  if (typeof one === 'string') return one;
  const { url, weight = 1, priority = 0 } = one;
  if (weight === 1 && priority === 0) return url;
  return `${url} (${weight}${priority === 0 ? '' : `, priority ${priority}`})`;
}

function stateTexts({ gate, canary }: Rollout, now: number): string[] {
  const { state = 'open', until = 0, message = '' } = gate ?? {};
  const isOpen = state === 'open' || (until > 0 && until <= now);
  const said = message === '' ? '' : `: ${printable(message)}`;
  return [...(isOpen ? [] : [`[${state}${said}]`]), ...(canary === undefined ? [] : [`[${canaryText(canary)}]`])];
}

function canaryText({ target, percent = 0, header }: Canary): string {
  const parts = [
    ...(percent > 0 || header === undefined ? [`${percent}%`] : []),
    ...(header === undefined ? [] : [header]),
  ];
  return `${parts.join(' and ')} to ${targetsText(target)}`;
}
