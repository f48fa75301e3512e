import * as v from 'valibot';
import { defaultHandlerMemoryMb, defaultHandlerTimeoutMs, maxHandlerSource } from '../../core/option-handler.ts';
import { about, between, flag, maybe, text, texts, whole } from './common.ts';
import { forwardEntries, owner } from './definition.ts';
import { poolEntries, targetWire } from './pool.ts';

const day = 86_400_000;
const filled = v.pipe(text, v.minLength(1));
const ranges = about(v.pipe(texts, v.minLength(1), v.maxLength(10_000)), 'Addresses and CIDRs.', {
  examples: [['10.0.0.0/8', '2001:db8::1']],
});
const fieldNames = v.array(filled);
const fields = v.record(text, text);

const redirectWire = about(
  v.union([
    filled,
    v.strictObject({
      to: about(filled, 'An address, or a path.', { examples: ['https://www.example.com', '/new'] }),
      status: maybe(v.picklist([301, 302, 303, 307, 308]), 'The status.', { default: 308 }),
      keepPath: maybe(
        flag,
        "Whether the request's path after the route's prefix, and its query, are put behind `to`. Default: true for a `to` without a path.",
      ),
    }),
  ]),
  'Answers with a redirect in place of forwarding; a text is short for `{ to }`. A route with it needs no target.',
  { examples: ['https://www.example.com', { to: '/new', status: 302 }] },
);

const respondWire = about(
  v.union([
    text,
    v.strictObject({
      status: maybe(whole(200, 599), 'The status.', { default: 200 }),
      body: maybe(text, 'The body.', { default: '' }),
      contentType: maybe(text, 'Its media type.', { default: 'text/plain; charset=utf-8' }),
      headers: maybe(fields, 'More fields by name.'),
    }),
  ]),
  'Answers with this in place of forwarding; a text is short for `{ body }`. A route with it needs no target.',
  { examples: ['OK', { status: 410, body: 'It is gone.' }] },
);

const rulesWire = v.strictObject({
  remove: maybe(fieldNames, 'Fields that are taken out.'),
  set: maybe(fields, 'In the place of all of that name.'),
  add: maybe(v.record(text, v.union([text, texts])), 'Beside those that are there.'),
});
const headerRules = (what: string, example: object) =>
  about(
    rulesWire,
    `Changes of the ${what}: first remove, then set, then add. Fields that frame a message are refused. Values may have {client.ip}, {host}, {scheme}, {method}, {path}, {uri}, {route}, {request.id}.`,
    { examples: [example] },
  );

const basicAuthWire = about(
  v.strictObject({
    realm: maybe(v.pipe(text, v.maxLength(100)), 'What the client is asked in.', { default: 'oo' }),
    users: about(
      v.pipe(v.record(text, text), v.minEntries(1), v.maxEntries(10_000)),
      'By name: what `oo hash` makes of the password.',
      { examples: [{ ann: '$scrypt$…' }] },
    ),
  }),
  'Only who names one of these users, with the password, is let in.',
);

const forwardAuthWire = about(
  v.union([
    filled,
    v.strictObject({
      url: about(filled, 'Who is asked, with GET.', { examples: ['http://127.0.0.1:9091/verify'] }),
      sendHeaders: maybe(v.pipe(fieldNames, v.maxLength(50)), 'Which other fields of the request it gets.', {
        default: [],
      }),
      copyHeaders: maybe(
        v.pipe(fieldNames, v.maxLength(50)),
        "Which fields of its 2xx answer go on to the upstream, in the place of the client's.",
        { default: [] },
      ),
      timeoutMs: maybe(whole(1, 60_000), 'How long it may take, ms.', { default: 10_000 }),
    }),
  ]),
  'Another server is asked about each request: 2xx lets it in, all else is the answer. A text is short for `{ url }`.',
  { examples: ['http://127.0.0.1:9091/verify'] },
);

const accessWire = about(
  v.strictObject({
    allow: maybe(ranges, 'Who is not in it is refused.'),
    deny: maybe(ranges, 'Who is in it is refused; asked first.'),
  }),
  'Which clients are let in, by their address.',
  { examples: [{ allow: ['10.0.0.0/8'] }] },
);

const rateLimitWire = about(
  v.strictObject({
    requests: about(whole(1, 1_000_000), 'How many in perMs.'),
    perMs: maybe(whole(1, day), 'The time, ms.', { default: 1_000 }),
    burst: maybe(whole(1, 1_000_000), 'How many may come at once. Default: requests.'),
    by: maybe(
      filled,
      'Whose requests are counted together: ip (IPv6 by its /64), header:NAME or cookie:NAME; without that field by ip.',
      { default: 'ip' },
    ),
  }),
  'How many requests a client may make. Counted in each process: the limit is divided among a server’s workers, and servers do not add up.',
  { examples: [{ requests: 100, perMs: 60_000 }] },
);

const compressWire = about(
  v.union([
    flag,
    v.strictObject({
      codings: maybe(
        v.pipe(v.array(v.picklist(['zstd', 'br', 'gzip'])), v.minLength(1)),
        'In the order that is liked best.',
        { default: ['zstd', 'br', 'gzip'] },
      ),
      minBytes: maybe(whole(0, 2 ** 31 - 1), 'Shorter bodies stay as they are, bytes.', { default: 1_024 }),
      types: maybe(
        v.pipe(texts, v.minLength(1), v.maxLength(1_000)),
        'Media types, `text/*` for a family. Default: text and what is text in truth.',
      ),
    }),
  ]),
  'Bodies that the upstream has not encoded are encoded where the client takes it; true: by the defaults.',
  { default: false },
);

const list = (of: v.GenericSchema<string>) => v.pipe(v.array(of), v.minLength(1), v.maxLength(200));
const corsWire = about(
  v.union([
    flag,
    v.strictObject({
      origins: maybe(list(filled), 'Such as https://app.example.com, https://*.example.com, or *.', { default: ['*'] }),
      methods: maybe(list(filled), 'Methods.', { default: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] }),
      headers: maybe(list(filled), 'Which request fields may be sent. Default: those that are asked for.'),
      exposeHeaders: maybe(list(filled), 'Which response fields the page may read. Default: none.'),
      credentials: maybe(flag, 'Whether cookies may come along; not with *.', { default: false }),
      maxAgeSeconds: maybe(whole(0, 86_400), 'How long a browser keeps the answer, seconds.', { default: 600 }),
    }),
  ]),
  "Which other sites' pages may call it; true: any, without credentials.",
  { default: false },
);

const maintenanceWire = about(
  v.union([
    flag,
    v.pipe(text, v.maxLength(500)),
    v.strictObject({
      message: maybe(v.pipe(text, v.maxLength(500)), 'What the page says.'),
      retryAfterSeconds: maybe(whole(1, 2_592_000), 'What Retry-After says, seconds.', { default: 300 }),
      allow: maybe(ranges, 'Who is let through all the same.'),
    }),
  ]),
  'Answers 503 with a page in place of forwarding; a text is short for `{ message }`.',
  { default: false },
);

const mirrorWire = about(
  v.union([
    filled,
    v.strictObject({
      target: about(filled, 'Where copies go.', { examples: ['http://10.0.0.9:3000'] }),
      percent: maybe(between(0, 100), 'Of all requests.', { default: 100 }),
      maxBodyBytes: maybe(whole(0, 16 * 1024 * 1024), 'Requests with longer bodies are not mirrored, bytes.', {
        default: 1024 * 1024,
      }),
    }),
  ]),
  'Requests are sent there as well; what it answers is thrown away. A text is short for `{ target }`.',
);

const handlerWire = about(
  v.union([
    filled,
    v.strictObject({
      file: maybe(
        filled,
        'The file of an ES module, or of TypeScript: read by the CLI, from the directory of the file that names it.',
        {
          examples: ['./auth.mjs'],
        },
      ),
      source: maybe(
        v.pipe(text, v.minLength(1), v.maxLength(maxHandlerSource)),
        'The text of an ES module whose default export is `(request, next, context) => Response`. The API takes no handler without it; the CLI reads it from `file`.',
      ),
      timeoutMs: maybe(
        whole(1, 2 ** 31 - 1),
        'How long it may take up to its response, without what `next` takes, ms. Past that: 504.',
        { default: defaultHandlerTimeoutMs },
      ),
      memoryMb: maybe(whole(16, 4_096), 'What its process may use beside what Node itself takes, MiB.', {
        default: defaultHandlerMemoryMb,
      }),
    }),
  ]),
  'A program of its own around forwarding, after all that may refuse a request; not a sandbox. A text is short for `{ file }`. A route with it needs no target.',
  { examples: ['./auth.mjs', { source: 'export default () => new Response("hello")', timeoutMs: 2_000 }] },
);

/** A route, with all that can be said of it. It describes: what its values must be is the core's to prove, in better words. */
export const routeWire = about(
  v.strictObject({
    id: about(
      v.pipe(text, v.minLength(1)),
      'A host, or a host and a path: `app.example.com/api`, `*.example.com`, `*`.',
      {
        examples: ['app.example.com', 'app.example.com/api'],
      },
    ),
    target: v.optional(targetWire),
    ...forwardEntries,
    http: maybe(v.picklist(['redirect', 'allow']), 'What plain HTTP does where HTTPS is served.', {
      default: 'redirect',
    }),
    hsts: maybe(
      v.union([flag, text]),
      'Strict-Transport-Security on HTTPS answers: true for a year, or the field’s value.',
      { default: false, examples: ['max-age=31536000; includeSubDomains'] },
    ),
    keyType: maybe(v.picklist(['ecdsa', 'rsa']), "The kind of key of its certificate. Default: the server's."),
    certificate: maybe(filled, 'Routes that name the same certificate get one for all their hosts.'),
    ...poolEntries,
    owner,
    stripPrefix: maybe(
      v.union([flag, filled]),
      "Taken off the front of the path: true for the route's prefix, or a prefix.",
      { default: false, examples: ['/api'] },
    ),
    addPrefix: maybe(filled, 'Put before the path, after stripPrefix.', { examples: ['/v2'] }),
    redirect: v.optional(redirectWire),
    respond: v.optional(respondWire),
    requestHeaders: v.optional(headerRules('request’s fields', { set: { 'X-Tenant': 'shop' }, remove: ['Cookie'] })),
    responseHeaders: v.optional(headerRules('response’s fields', { set: { 'X-Frame-Options': 'DENY' } })),
    basicAuth: v.optional(basicAuthWire),
    forwardAuth: v.optional(forwardAuthWire),
    access: v.optional(accessWire),
    rateLimit: v.optional(rateLimitWire),
    compress: v.optional(compressWire),
    cors: v.optional(corsWire),
    maintenance: v.optional(maintenanceWire),
    mirror: v.optional(mirrorWire),
    handler: v.optional(handlerWire),
  }),
  'A host, with or without a path prefix, and where its requests go.',
  { examples: [{ id: 'app.example.com', target: 'http://10.0.0.2:3000' }] },
);
export const optionWires = {
  ...{ Redirect: redirectWire, Respond: respondWire, HeaderRules: rulesWire, BasicAuth: basicAuthWire },
  ...{ ForwardAuth: forwardAuthWire, Access: accessWire, RateLimit: rateLimitWire, Compress: compressWire },
  ...{ Cors: corsWire, Maintenance: maintenanceWire, Mirror: mirrorWire, Handler: handlerWire },
};
