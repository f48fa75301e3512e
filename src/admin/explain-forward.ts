import type { OptionsView } from '../core/explain-options.ts';
import { type AskedRequest, explainFields, fieldOf } from '../core/explain-request.ts';
import { defaultRetryPolicy, isIdempotent, isSafeToRepeat } from '../core/retry.ts';
import { defaultRetryBudget } from '../core/retry-budget.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { LimitView, ServerFacts, UpstreamView } from './explain-types.ts';

/** The request as the upstream gets it. */
export function upstreamOf(
  request: AskedRequest,
  { route }: CompiledRoute,
  options: OptionsView,
  trusted: boolean,
): UpstreamView {
  return {
    method: request.method,
    target: options.target ?? request.path + request.query,
    host: route.hostHeader === 'upstream' || request.authority === '' ? '' : request.authority,
    ...explainFields(request, trusted, '1.1'),
    removed: options.drop.filter((name) => request.fields.some(([one]) => one === name)),
    put: options.put,
  };
}

/** Time-outs, limits and retries that are in force for a route, and who says so. */
export function limitsOf(
  route: CompiledRoute,
  serviceRoute: (slug: string) => CompiledRoute | undefined,
  facts: ServerFacts,
): LimitView[] {
  const isService = route.pool.name.startsWith('service ');
  const own = isService ? 'service' : 'route';
  const times = (['connectTimeoutMs', 'responseTimeoutMs', 'idleTimeoutMs'] as const).map((name): LimitView => {
    const value = route.route[name];
    return value === undefined ? { name, value: facts[name], from: 'server' } : { name, value, from: own };
  });
  const { maxBodyBytes, retry } = route.route;
  const body: LimitView[] =
    maxBodyBytes === undefined ? [] : [{ name: 'maxBodyBytes', value: maxBodyBytes, from: own }];
  // As `retrying` of the edge's pool: the route's own word, if it has any; else that of the service that it leads to.
  const service = route.pool.service === '' ? undefined : serviceRoute(route.pool.service);
  const isOwn = retry !== undefined || service === undefined;
  const { retry: policy, retryBudget } = (isOwn ? route : service).pool.settings;
  const says = retry !== undefined ? 'route' : 'service';
  const retries = [
    ['retry.tries', policy.tries, defaultRetryPolicy.tries],
    ['retry.tryTimeoutMs', policy.tryTimeoutMs, defaultRetryPolicy.tryTimeoutMs],
    ['retry.totalTimeoutMs', policy.totalTimeoutMs, defaultRetryPolicy.totalTimeoutMs],
    ['retry.budget', retryBudget, defaultRetryBudget.ratio],
  ] as const;
  return [
    ...times,
    ...body,
    ...retries.map(([name, value, usual]) => ({ name, value, from: value === usual ? 'server' : says }) as const),
  ];
}

/** When a failed attempt of a request is repeated, by the rule of the data path. @param limits what `limitsOf` says */
export function retriesText(request: AskedRequest, limits: readonly LimitView[]): string {
  const tries = limits.find(({ name }) => name === 'retry.tries')?.value ?? 1;
  if (tries <= 1) return 'it is tried once';
  const idempotent = isIdempotent(request.method);
  const bodied = Number(fieldOf(request, 'content-length')) > 0 || fieldOf(request, 'transfer-encoding') !== '';
  const lost = { sentBytes: true, reused: false, idempotent, replayable: !bodied, responseStarted: false };
  const base = `up to ${tries} tries, on other instances where there are any`;
  if (isSafeToRepeat(lost, true)) return `${base}, also after it was sent, until an answer begins`;
  const why = idempotent ? 'its body cannot be sent twice' : `${request.method} may have done its work`;
  return `${base}, only while nothing of it was sent: ${why}`;
}
