import type { OptionsView } from '../core/explain-options.ts';
import { type AskedRequest, fieldOf } from '../core/explain-request.ts';
import { type FailureCode, failures } from '../core/failure.ts';
import { labelOf } from '../core/option-handler.ts';
import type { Found } from './explain-match.ts';
import type { CertificateView, ListenerView, OutcomeView, RouteView } from './explain-types.ts';

/** What comes out of all that was found on the way. */
export function outcomeOf(
  request: AskedRequest,
  listener: ListenerView,
  certificate: CertificateView | null,
  { route, code, match }: Found,
  options: OptionsView | undefined,
  pool: RouteView | null,
): OutcomeView {
  const none = (text: string, failure: FailureCode | '' = ''): OutcomeView => {
    const status = failure === '' ? 0 : failures[failure].status;
    return { kind: 'none', ok: false, status, code: failure, text };
  };
  const refused = (failure: FailureCode, text: string): OutcomeView => {
    const { status } = failures[failure];
    return { kind: 'refused', ok: false, status, code: failure, text };
  };
  if (listener.name === 'none') return none(listener.text);
  if (certificate !== null && certificate.state !== 'served')
    return none(`no TLS connection comes about: ${certificate.text}`);
  if (request.method === 'CONNECT' || request.method === 'TRACE')
    return refused('OO_METHOD_REFUSED', failures.OO_METHOD_REFUSED.detail);
  if (listener.leadsTo !== '') {
    const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308;
    return { kind: 'redirected', ok: true, status, code: '', text: `it is led to ${listener.leadsTo}` };
  }
  if (route === undefined || pool === null) {
    if (code === '')
      return { kind: 'answered', ok: true, status: 0, code: '', text: `oo answers itself: ${match.why}` };
    return none(match.why, code);
  }
  const answer = options?.answer ?? null;
  if (answer !== null) {
    const text = `${answer.option}: ${answer.text}`;
    const failure = /\b(OO_[A-Z_]+)\b/.exec(answer.text)?.[1] ?? '';
    if (answer.effect === 'refuses') return { kind: 'refused', ok: false, status: answer.status, code: failure, text };
    const kind = answer.option === 'redirect' ? 'redirected' : 'answered';
    return { kind, ok: true, status: answer.status, code: '', text };
  }
  const length = Number(fieldOf(request, 'content-length') || 0);
  const limit = route.route.maxBodyBytes;
  if (limit !== undefined && length > limit)
    return refused('OO_BODY_TOO_LARGE', `its body of ${length} bytes is over maxBodyBytes, ${limit}`);
  const handler = route.options?.handler ?? null;
  const forwarded = forwardedOutcome(pool, refused);
  return handler === null ? forwarded : handledOutcome(labelOf(handler), forwarded);
}

function forwardedOutcome(pool: RouteView, refused: (failure: FailureCode, text: string) => OutcomeView): OutcomeView {
  if (pool.gate.state === 'stopped') return refused('OO_STOPPED', pool.gate.text);
  const text = whereText(pool);
  if (text === undefined) return refused('OO_NO_INSTANCE', whyNobody(pool));
  const waits = pool.gate.state === 'paused';
  return {
    kind: waits ? 'waits' : 'forwarded',
    ok: true,
    status: 0,
    code: '',
    text: waits ? `${pool.gate.text}; then ${text}` : text,
  };
}

/** Gates and pools are met by what a handler asks next() for. */
function handledOutcome(handler: string, forwarded: OutcomeView): OutcomeView {
  const { ok, status, code, text } = forwarded;
  if (ok) return { ...forwarded, text: `handler ${handler} answers it, or its next() does: ${text}` };
  const failed = `handler ${handler} answers it; its next() would get ${status} ${code}: ${text}`;
  return { kind: 'answered', ok: true, status: 0, code: '', text: failed };
}

function whyNobody({ main, service }: RouteView): string {
  if (main.members.length > 0) return `${main.name}: ${main.why}`;
  return service === '' ? `${main.name} has no instance` : `no instance of the service ${service} is registered`;
}

/** Undefined: nobody can take it. */
function whereText({ main, canary }: RouteView): string | undefined {
  if (canary?.certain && canary.state !== 'none') return sideText(canary, "the canary's ");
  const own = main.state === 'none' ? undefined : sideText(main, '');
  if (own === undefined || canary === null || canary.percent === 0) return own;
  return `${own}; ${canary.percent} % of all go to the canary`;
}

function sideText({ members, chosen, policy }: RouteView['main'], whose: string): string | undefined {
  if (chosen !== '') return `it goes to ${whose}${chosen}`;
  const picked = members.filter(({ picked }) => picked === 'yes');
  if (picked.length === 0) return undefined;
  if (picked.length === 1) return `it goes to ${whose}${picked[0].address}`;
  const list = picked.slice(0, 4).map(({ address }) => address);
  const more = picked.length > 4 ? ` and ${picked.length - 4} more` : '';
  return `it goes to one of ${whose}${list.join(', ')}${more}, by ${policy}`;
}
