import * as v from 'valibot';
import { about, flag, maybe, text, texts, whole } from './wire/common.ts';

const short = v.pipe(text, v.maxLength(8_192));

/** What `POST /v1/explain` takes: a request as a client would send it. */
export const explainBody = v.strictObject({
  url: about(short, 'With or without its scheme.', { examples: ['https://app.example.com/api/users?page=2'] }),
  method: maybe(short, 'Its method.', { default: 'GET' }),
  headers: maybe(
    v.record(short, v.union([short, v.array(short)])),
    "Its fields by name; Host takes the place of the URL's.",
    { examples: [{ cookie: 'session=1', accept: 'application/json' }] },
  ),
  from: maybe(short, "The client's address.", { default: '127.0.0.1', examples: ['203.0.113.9'] }),
  at: maybe(whole(0), 'A revision: routes and definitions as they were then. Left out: as they are.'),
});

const strings = (...names: string[]) => Object.fromEntries(names.map((name) => [name, text]));
const named = v.object(strings('name', 'value'));
const share = v.number();

const sideEntries = {
  ...strings('name', 'policy', 'state', 'chosen', 'why'),
  members: v.array(
    v.object({
      ...strings('address', 'health', 'reason', 'breaker', 'why'),
      ...{ weight: share, priority: share, inFlight: share, share, down: flag },
      ejected: v.nullable(v.object({ cause: text, leftMs: v.number() })),
      picked: v.picklist(['yes', 'no', 'fallback']),
    }),
  ),
};

/** What it answers. */
export const explanationWire = v.object({
  revision: whole(0),
  request: v.object({ ...strings('method', 'url', 'host', 'path', 'client'), trusted: flag }),
  outcome: v.object({
    kind: about(
      v.picklist(['forwarded', 'waits', 'redirected', 'answered', 'refused', 'none']),
      '`none`: nobody takes it; `refused`: somebody does, and answers with a failure.',
    ),
    ok: about(flag, 'It is forwarded, or answered as its route wants.'),
    status: about(whole(0), "Of oo's own answer; 0 where the upstream answers."),
    ...strings('code', 'text'),
  }),
  listener: v.object({
    name: v.picklist(['http', 'https', 'service', 'none']),
    port: whole(0),
    ...strings('text', 'leadsTo'),
  }),
  certificate: v.nullable(
    v.object({
      ...strings('id', 'notAfter', 'issuer', 'text'),
      state: v.picklist(['served', 'expired', 'waiting', 'none']),
      names: texts,
    }),
  ),
  match: v.object({
    ...strings('route', 'why'),
    runnersUp: about(
      v.array(
        v.object({
          ...strings('id', 'why'),
          loss: v.picklist(['host', 'shorter', 'edge', 'case', 'path', 'port', 'label']),
        }),
      ),
      'Routes that might have been expected to take it, the nearest first.',
    ),
    more: about(whole(0), 'How many more there are.'),
    readings: v.array(v.object(strings('path', 'route'))),
    misses: about(texts, 'Where no route takes it: what is near.'),
  }),
  options: about(
    v.array(
      v.object({
        ...strings('option', 'text'),
        effect: v.picklist(['passes', 'answers', 'refuses', 'asks', 'changes']),
        status: whole(0),
      }),
    ),
    'What each option of the route does to it, in their order, up to the one that answers.',
  ),
  upstream: v.nullable(
    v.object({
      ...strings('method', 'target', 'host'),
      dropped: v.array(v.object(strings('name', 'why'))),
      added: v.array(named),
      removed: texts,
      put: v.array(named),
    }),
  ),
  pool: v.nullable(
    v.object({
      ...strings('id', 'target', 'service'),
      gate: v.object({ state: v.picklist(['open', 'paused', 'stopped']), ...strings('of', 'text') }),
      main: v.object(sideEntries),
      canary: v.nullable(v.object({ ...sideEntries, percent: v.number(), text, certain: flag })),
      choice: texts,
    }),
  ),
  retries: about(text, 'When a failed attempt is repeated.'),
  limits: v.array(v.object({ name: text, value: v.number(), from: v.picklist(['route', 'service', 'server']) })),
});
