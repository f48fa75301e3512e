import { isMapping, type Say, shorten, show, whole } from './pool-proof.ts';
import type { Members, PoolTarget } from './pool-types.ts';
import { parseTarget } from './target.ts';
import type { Target } from './types.ts';

const serviceForm = /^service:\/\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/?$/;
const maxTargets = 1_000;
const none: readonly PoolTarget[] = Object.freeze([]);
const fields = ['url', 'weight', 'priority'];
const weightKind = whole(0, 1_000);
const priorityKind = whole(0, 100);

/**
 * Proves a target: an address, a list of them, or `service://slug`.
 * @param spec anything; faults never throw
 * @param known parsed targets by text; is added to
 */
export function compileMembers(spec: unknown, say: Say, known: Map<string, Target>): Members {
  const service = typeof spec === 'string' ? serviceForm.exec(spec)?.[1] : undefined;
  if (service !== undefined) return { service, targets: none };
  if (typeof spec === 'string' && spec.startsWith('service:')) {
    say(`target '${shorten(spec)}' is no service; expected such as service://user-svc`);
    return { service: '', targets: none };
  }
  return { service: '', targets: compileTargets(spec, say, known) };
}

function compileTargets(spec: unknown, say: Say, known: Map<string, Target>): readonly PoolTarget[] {
  if (typeof spec === 'string') {
    const target = parse(spec, say, known);
    return Object.freeze(target === undefined ? [] : [Object.freeze({ target, weight: 1, priority: 0 })]);
  }
  if (!Array.isArray(spec) || spec.length === 0 || spec.length > maxTargets) {
    const what = Array.isArray(spec) && spec.length > 0 ? `a list of ${spec.length}` : show(spec);
    say(`target is ${what}; expected an address such as http://10.0.0.2:3000, or a list of 1 to ${maxTargets}`);
    return [];
  }
  const seen = new Set<string>();
  return Object.freeze(spec.flatMap((item, index) => compileItem(item, `target[${index}]`, seen, say, known)));
}

function compileItem(item: unknown, where: string, seen: Set<string>, say: Say, known: Map<string, Target>) {
  if (typeof item !== 'string' && !isMapping(item)) {
    say(`${where} is ${show(item)}; expected an address, or a mapping with url, weight and priority`);
    return [];
  }
  const { url, weight = 1, priority = 0 } = typeof item === 'string' ? { url: item } : item;
  for (const field of typeof item === 'string' ? [] : Object.keys(item))
    if (!fields.includes(field))
      say(`unknown field '${where}.${shorten(field)}'; expected one of ${fields.join(', ')}`);
  if (typeof url !== 'string') {
    say(`${where}.url is ${url === undefined ? 'missing' : show(url)}; expected such as http://10.0.0.2:3000`);
    return [];
  }
  const bad = (field: string, value: unknown, expected: string) =>
    say(`${where}.${field}, of ${shorten(url)}, is ${show(value)}; expected ${expected}`);
  if (!weightKind.is(weight)) bad('weight', weight, weightKind.expected);
  if (!priorityKind.is(priority)) bad('priority', priority, priorityKind.expected);
  const target = parse(url, say, known);
  if (target === undefined) return [];
  if (seen.has(target.href)) say(`target '${shorten(url)}' is in the list twice; expected each once`);
  seen.add(target.href);
  return [Object.freeze({ target, weight: weight as number, priority: priority as number })];
}

function parse(url: string, say: Say, known: Map<string, Target>): Target | undefined {
  const target = known.get(url) ?? parseTarget(url);
  if (typeof target !== 'string') {
    known.set(url, target);
    return target;
  }
  if (url.startsWith('service:')) say(`target '${shorten(url)}' is in a list; expected a service alone`);
  else say(`target '${shorten(url)}' ${target}`);
  return undefined;
}
