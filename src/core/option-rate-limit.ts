import { isFieldName, isForwarding } from './option-field.ts';
import { isMapping, type Kind, proven, type Say, show, time, whole } from './pool-proof.ts';

/** How many requests a client may make. Equal ones have equal texts. */
export interface CompiledRateLimit {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
  readonly by: { readonly kind: 'ip' } | { readonly kind: 'header' | 'cookie'; readonly name: string };
  readonly text: string;
}

const day = 86_400_000;
const byForm = /^(header|cookie):(.+)$/;

const by: Kind = {
  expected: 'ip (which knows X-Forwarded-For of trusted proxies), header:NAME or cookie:NAME',
  is: (value) => {
    const name = typeof value === 'string' ? byForm.exec(value)?.[2] : undefined;
    return value === 'ip' || (isFieldName(name) && !isForwarding(name));
  },
};
const fields = { requests: whole(1, 1_000_000), perMs: time(1, day), burst: whole(1, 1_000_000), by };

/** Proves an option's `rateLimit`. @param value anything */
export function compileRateLimit(value: unknown, say: Say): CompiledRateLimit | null {
  if (!isMapping(value)) {
    say(`rateLimit is ${show(value)}; expected a mapping such as {requests: 100, perMs: 60000}`);
    return null;
  }
  if (value.requests === undefined) say(`rateLimit.requests is missing; expected ${fields.requests.expected}`);
  const good = proven(value, 'rateLimit', fields, say);
  const requests = (good.requests ?? 1) as number;
  const perMs = (good.perMs ?? 1_000) as number;
  const burst = (good.burst ?? requests) as number;
  const whose = (good.by ?? 'ip') as string;
  const [, kind, name] = byForm.exec(whose) ?? [];
  return Object.freeze({
    ...{ requests, perMs, burst },
    by: Object.freeze(
      kind === undefined
        ? { kind: 'ip' }
        : { kind: kind as 'header' | 'cookie', name: kind === 'header' ? name.toLowerCase() : name },
    ),
    text: `${requests}/${perMs}/${burst}/${whose}`,
  });
}
