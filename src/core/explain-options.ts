import { type AskedRequest, fieldOf } from './explain-request.ts';
import { failures } from './failure.ts';
import { readCredentials } from './option-basic-auth.ts';
import type { CompiledOptions } from './option-compile.ts';
import { pickCoding } from './option-compress.ts';
import { allowedOrigin } from './option-cors.ts';
import { decideGuard, type GuardName, type GuardStep, guardOrder, rateKey } from './option-guard.ts';
import { type CompiledHandler, labelOf } from './option-handler.ts';
import { describeFields, putFieldsOf } from './option-header-rules.ts';
import { describeMirror } from './option-mirror.ts';
import { describePath, rewriteTarget } from './option-path.ts';
import type { Fill } from './option-placeholder.ts';
import type { CompiledRoute } from './types.ts';

/**
 * What one of a route's options does to a request. `passes`: it lets it on; `answers`: it answers in the upstream's place, and what comes after it is
 * not reached; `refuses`: likewise, with a failure; `asks`: what it does hangs on what cannot be known here; `changes`: it changes what is sent.
 */
export interface OptionStep {
  readonly option: string;
  readonly effect: 'passes' | 'answers' | 'refuses' | 'asks' | 'changes';
  /** Of its answer; 0: it gives none. */
  readonly status: number;
  /** One line. */
  readonly text: string;
}

/** What a route's options make of a request, in the order in which it meets them, up to the one that answers. */
export interface OptionsView {
  readonly steps: readonly OptionStep[];
  /** The one that answers; null: it is forwarded, if those that ask let it. */
  readonly answer: OptionStep | null;
  /** Path and query as the upstream gets them, before its target's own path; null: it is not forwarded. */
  readonly target: string | null;
  /** Fields that rules put into the request. */
  readonly put: readonly { readonly name: string; readonly value: string }[];
  /** Fields of the client's that rules take out: in lower case. */
  readonly drop: readonly string[];
}

/** @param address the client's: behind a trusted proxy what that says */
export function explainOptions(route: CompiledRoute, request: AskedRequest, address: string): OptionsView {
  const { options } = route;
  const target = request.path + request.query;
  if (options === null) return { steps: [], answer: null, target, put: [], drop: [] };
  const steps: OptionStep[] = [];
  for (const name of guardOrder) {
    if (options[name] === null) continue;
    const step = guardStep(options, name, request, address);
    if (name === 'cors' && step.effect === 'passes') continue;
    steps.push(step);
    if (step.effect === 'answers' || step.effect === 'refuses')
      return { steps, answer: step, target: null, put: [], drop: [] };
  }
  return forwarding(route, options, request, address, steps);
}

function guardStep(options: CompiledOptions, name: GuardName, request: AskedRequest, address: string): OptionStep {
  const { method, path, query } = request;
  const guarded = { method, path, query, address, field: (field: string) => fieldOf(request, field) };
  // How many have been made is known to the workers only: it is taken for the first.
  const step = decideGuard(options, name, guarded, () => 0);
  const said = (effect: OptionStep['effect'], text: string, status = 0) => ({ option: name, effect, status, text });
  if (name === 'rateLimit') {
    const rate = options.rateLimit!;
    const { requests, perMs, burst } = rate;
    const by = rate.by.kind === 'ip' ? 'ip' : `${rate.by.kind} ${rate.by.name}`;
    const limit = `${requests} requests in ${perMs} ms, ${burst} at once, counted by ${by}`;
    // Of a header or a cookie the value may be a secret.
    const key = rateKey(rate, guarded);
    const whose = key.startsWith('=') ? '' : ` (here ${key})`;
    return said('asks', `${limit}${whose}; past that 429: how many were made is not looked at here`);
  }
  if (step === null) return said('passes', passText(options, name, address));
  return said(...guardText(options, step, request));
}

function passText({ access }: CompiledOptions, name: GuardName, address: string): string {
  if (name === 'maintenance') return `${address} is let through: it is in maintenance.allow`;
  if (name === 'access')
    return access!.allow === null ? `${address} is not denied` : `${address} is in access.allow, and not denied`;
  return 'it lets it on';
}

function guardText(
  options: CompiledOptions,
  step: GuardStep,
  request: AskedRequest,
): [effect: OptionStep['effect'], text: string, status: number] {
  if (step.kind === 'ask') return ['asks', `${step.auth.url} is asked: 2xx lets it in, all else is the answer`, 0];
  if (step.kind === 'password') {
    const { user } = readCredentials(fieldOf(request, 'authorization'))!;
    if (!options.basicAuth!.users.has(user)) return ['refuses', `there is no user ${user}: 401 OO_UNAUTHORIZED`, 401];
    return ['asks', `it names the user ${user}; the password is not looked at here, a wrong one is answered 401`, 0];
  }
  if (step.kind === 'refuse') {
    const { status } = failures[step.code];
    return ['refuses', `${status} ${step.code}: ${step.detail || failures[step.code].detail}`, status];
  }
  const location = step.fields.find(([name]) => name === 'Location')?.[1];
  const length = step.body === null ? 0 : step.body.length;
  const preflight = step.fields.some(([name]) => name === 'Access-Control-Allow-Origin');
  if (location !== undefined) return ['answers', `${step.status}, Location: ${location}`, step.status];
  if (step.status === 204 && step.fields.some(([name, value]) => name === 'Vary' && value.startsWith('Origin'))) {
    const allowed = preflight ? 'allows it' : `does not allow ${fieldOf(request, 'origin')}`;
    return ['answers', `204: the answer to a preflight, which ${allowed}`, 204];
  }
  return ['answers', `${step.status} with a body of ${length} characters`, step.status];
}

/** What is done to a request that goes on, and to its response. */
function forwarding(
  route: CompiledRoute,
  options: CompiledOptions,
  request: AskedRequest,
  address: string,
  steps: OptionStep[],
): OptionsView {
  const changes = (option: string, text: string) => steps.push({ option, effect: 'changes', status: 0, text });
  if (options.handler !== null) {
    const step = handlerStep(options.handler, route.route.target !== undefined);
    steps.push(step);
    // There is no upstream: only what is done to its answer is left.
    if (step.effect === 'answers') {
      answering(options, request, changes);
      return { steps, answer: step, target: null, put: [], drop: [] };
    }
  }
  let target = request.path + request.query;
  let stripped = '';
  if (options.path !== null) {
    const rewritten = rewriteTarget(options.path, target);
    const option = options.path.strip === '' ? 'addPrefix' : 'stripPrefix';
    if (rewritten === undefined) {
      const text = `400 OO_BAD_PATH: it cannot be told what of ${request.path} is to be taken off`;
      const answer: OptionStep = { option, effect: 'refuses', status: 400, text };
      return { steps: [...steps, answer], answer, target: null, put: [], drop: [] };
    }
    changes(option, `${describePath(options.path)}: ${rewritten.target}`);
    ({ target } = rewritten);
    ({ stripped } = rewritten);
  }
  const fill = fillFor(route, request, address);
  const { requestHeaders, mirror } = options;
  if (mirror !== null) changes('mirror', describeMirror(mirror));
  if (requestHeaders !== null) changes('requestHeaders', describeFields(requestHeaders).join('; '));
  answering(options, request, changes);
  const rules = requestHeaders === null ? [] : putFieldsOf(requestHeaders, fill);
  const prefix: [string, string][] = stripped === '' ? [] : [['X-Forwarded-Prefix', stripped]];
  const put = [...prefix, ...rules].map(([name, value]) => ({ name, value }));
  return { steps, answer: null, target, put, drop: [...(requestHeaders?.drop ?? [])] };
}

/** Whether it goes on, only the handler knows. @param hasTarget without one there is nobody that it could ask */
function handlerStep(handler: CompiledHandler, hasTarget: boolean): OptionStep {
  const { timeoutMs, memoryMb, source } = handler;
  // Embedded it is a function of this very process.
  const where = source === '' ? `within ${timeoutMs} ms` : `by itself, within ${timeoutMs} ms and ${memoryMb} MiB`;
  const who = `${labelOf(handler)} runs ${where}`;
  if (!hasTarget)
    return { option: 'handler', effect: 'answers', status: 0, text: `${who}, and answers: there is no target` };
  const text = `${who}, before anything is forwarded: it answers, or asks the target by next(), with what is said below`;
  return { option: 'handler', effect: 'asks', status: 0, text };
}

/** What is done to a response: the target's, or the handler's. */
function answering(
  { responseHeaders, cors, compress }: CompiledOptions,
  request: AskedRequest,
  changes: (option: string, text: string) => void,
): void {
  if (responseHeaders !== null) changes('responseHeaders', describeFields(responseHeaders).join('; '));
  const origin = fieldOf(request, 'origin');
  if (cors !== null) {
    const allowed = allowedOrigin(cors, origin);
    const who =
      origin === '' ? 'it names no Origin' : `pages of ${origin} ${allowed ? 'may' : 'may not'} read the answer`;
    changes('cors', who);
  }
  if (compress !== null) {
    const coding = pickCoding(fieldOf(request, 'accept-encoding'), compress.codings);
    const what =
      coding === null
        ? 'as it is: its Accept-Encoding takes none of ours'
        : `in ${coding}, where its type and length are fit for it`;
    changes('compress', `the body is sent ${what}`);
  }
}

function fillFor(route: CompiledRoute, request: AskedRequest, address: string): Fill {
  const values: Partial<Record<Parameters<Fill>[0], string>> = {
    'client.ip': address,
    host: request.authority,
    scheme: request.scheme,
    method: request.method,
    path: request.path,
    uri: request.path + request.query,
    route: route.id,
    'request.id': 'REQUEST-ID',
  };
  return (name) => values[name] ?? '';
}
